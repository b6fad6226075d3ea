-- Adds one event to a job's history; everything or nothing.
-- KEYS: the job's hash, its stream, its event keys, the index of jobs
-- ARGV: event key, event as JSON object, name of a new history, milliseconds to keep, events to keep, job
local known = redis.call('HGET', KEYS[3], ARGV[1])
if known and redis.call('HEXISTS', KEYS[1], 'events.seq') == 1 then
  return tonumber(known)
end
if redis.call('HSETNX', KEYS[1], 'events.history', ARGV[3]) == 1 then
  -- The hash was lost; what is left of the other keys belongs to no history.
  redis.call('DEL', KEYS[2], KEYS[3])
end
local seq = redis.call('HINCRBY', KEYS[1], 'events.seq', 1)
local event = '{"seq":' .. seq .. ',' .. string.sub(ARGV[2], 2)
redis.call('XADD', KEYS[2], seq .. '-0', 'key', ARGV[1], 'event', event)
redis.call('HSET', KEYS[3], ARGV[1], seq)
local drop = seq - tonumber(ARGV[5])
if drop > 0 then
  local old = redis.call('XRANGE', KEYS[2], '-', drop .. '-0')
  for _, entry in ipairs(old) do
    redis.call('HDEL', KEYS[3], entry[2][2])
    redis.call('XDEL', KEYS[2], entry[1])
  end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[4], now, ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - tonumber(ARGV[4]))
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[4])
end
redis.call('PUBLISH', KEYS[2], event)
redis.call('PUBLISH', 'sundog:events', '{"job":"' .. ARGV[6] .. '","seq":' .. seq .. '}')
return seq
