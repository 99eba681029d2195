-- KEYS[1]: the id. ARGV: token, mark, lease in milliseconds.
local zero = string.rep('\0', 32)
local kept = redis.call('HMGET', KEYS[1], 'token', 'mark', 'lease')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if kept[1] and not kept[3] then
    if kept[2] == zero and ARGV[2] ~= zero then
        redis.call('HSET', KEYS[1], 'mark', ARGV[2])
    elseif ARGV[2] ~= zero and ARGV[2] ~= kept[2] then
        return 'conflict'
    end
    return 'done'
end
-- One's own token is there when the client repeats a command whose answer was lost.
if kept[1] and kept[1] ~= ARGV[1] and now < tonumber(kept[3]) then
    return 'held'
end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'mark', ARGV[2], 'lease', string.format('%.0f', now + ARGV[3]))
return 'ok'
