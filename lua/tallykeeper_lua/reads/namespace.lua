#!lua flags=no-writes
-- Counts what a namespace holds, as it is at one moment. It takes the store 10 us, however much there is.
--
-- KEYS       revision, ledger, index:stock, index:counter, expiry:counter, expiry
-- ARGV       none
-- returns    revision:      as it is stored; nil if there is none
--            oldest:        the first revision that the ledger has; nil if it has none
--            stock levels
--            counters:      without those whose time is up
--            reservations:  those that are active, without those whose time is up

local clock = redis.call('TIME')
local now = string.format('%d', clock[1] * 1000 + math.floor(clock[2] / 1000))

-- The fields of a stream entry are "time", the time, and then each revision with its entry.
local FIRST_REVISION = 3

local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
return {
  redis.call('GET', KEYS[1]),
  oldest and oldest[2][FIRST_REVISION] or false,
  redis.call('ZCARD', KEYS[3]),
  redis.call('ZCARD', KEYS[4]) - redis.call('ZCOUNT', KEYS[5], '-inf', now),
  redis.call('ZCOUNT', KEYS[6], '(' .. now, '+inf'),
}
