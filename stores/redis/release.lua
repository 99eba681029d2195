-- KEYS[1]: the id. ARGV: token.
local kept = redis.call('HMGET', KEYS[1], 'token', 'lease')
if kept[1] ~= ARGV[1] or not kept[2] then
    return 'lost'
end
redis.call('DEL', KEYS[1])
return 'ok'
