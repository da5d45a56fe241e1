#!lua flags=no-writes
-- Counts the levels of a namespace, all at one moment. It takes the store 10 us, for any number of levels.
--
-- KEYS       revision, clock, ledger, index:stock, index:counter, expiry:counter, expiry
-- ARGV       one MessagePack array of
--            wall:          the caller's own clock, in milliseconds since 1970
--            held:          the time that the caller has reached
-- returns    revision:      as it is stored; nil if there is none
--            oldest:        an array of the first stream entry of the ledger; empty if it has none
--            over:          the counters and active reservations whose time is up
--            stock levels
--            counters:      without those whose time is up
--            reservations:  those that are active, without those whose time is up

local wall, held = unpack(cmsgpack.unpack(ARGV[1]))

-- The time of the namespace, by the rule of the script that changes it.
local redis_clock = redis.call('TIME')
local redis_time = redis_clock[1] * 1000 + math.floor(redis_clock[2] / 1000)
local reached = string.match(redis.call('GET', KEYS[2]) or '', '^%d+') or 0
local now = math.max(math.min(redis_time, wall), held, reached + 0)

-- From the first to the last ID that the script gives: someone else has written the entries outside.
local oldest = redis.call('XRANGE', KEYS[3], '0-1', '0-18446744073709551615', 'COUNT', 1)
local until_now = string.format('%d', now)
local counters_over = redis.call('ZCOUNT', KEYS[6], '-inf', until_now)
local reservations_over = redis.call('ZCOUNT', KEYS[7], '-inf', until_now)
return {
  redis.call('GET', KEYS[1]),
  oldest,
  counters_over + reservations_over,
  redis.call('ZCARD', KEYS[4]),
  redis.call('ZCARD', KEYS[5]) - counters_over,
  redis.call('ZCARD', KEYS[7]) - reservations_over,
}
