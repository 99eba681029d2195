-- KEYS[1]: the id. ARGV: token, retention in milliseconds, 0 for good.
local kept = redis.call('HMGET', KEYS[1], 'token', 'lease')
if kept[1] ~= ARGV[1] then
    return 'lost'
end
if kept[2] then
    redis.call('HDEL', KEYS[1], 'lease')
    if ARGV[2] ~= '0' then
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
    end
end
return 'ok'
