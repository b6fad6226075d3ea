-- Adds events to a job's history, in order; everything or nothing. Returns their numbers.
-- KEYS: the job's hash, its stream, its event keys, the index of jobs
-- ARGV: name of a new history, milliseconds to keep, events to keep, job, then of each event its key and its JSON object
local seqs = {}
local added = false
for i = 5, #ARGV, 2 do
  local key = ARGV[i]
  local known = redis.call('HGET', KEYS[3], key)
  if known and redis.call('HEXISTS', KEYS[1], 'events.seq') == 1 then
    seqs[#seqs + 1] = tonumber(known)
  else
    if redis.call('HSETNX', KEYS[1], 'events.history', ARGV[1]) == 1 then
      -- The hash was lost; what is left of the other keys belongs to no history.
      redis.call('DEL', KEYS[2], KEYS[3])
    end
    local seq = redis.call('HINCRBY', KEYS[1], 'events.seq', 1)
    local event = '{"seq":' .. seq .. ',' .. string.sub(ARGV[i + 1], 2)
    redis.call('XADD', KEYS[2], seq .. '-0', 'key', key, 'event', event)
    redis.call('HSET', KEYS[3], key, seq)
    local drop = seq - tonumber(ARGV[3])
    if drop > 0 then
      local old = redis.call('XRANGE', KEYS[2], '-', drop .. '-0')
      for _, entry in ipairs(old) do
        redis.call('HDEL', KEYS[3], entry[2][2])
        redis.call('XDEL', KEYS[2], entry[1])
      end
    end
    redis.call('PUBLISH', KEYS[2], event)
    seqs[#seqs + 1] = seq
    added = true
  end
end
if added then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZADD', KEYS[4], now, ARGV[4])
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - tonumber(ARGV[2]))
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, ARGV[2])
  end
  redis.call('PUBLISH', 'sundog:events', '{"job":"' .. ARGV[4] .. '","seq":' .. seqs[#seqs] .. '}')
end
return seqs
