#!lua flags=no-writes
-- Reads the record of a request id, and the revision at which the answer is true.
--
-- KEYS       revision, then the request buckets
-- ARGV       one MessagePack array of
--            field:     of the record in its bucket
-- returns    revision:  as it is stored; nil if there is none
--            record:    as it is stored; nil if no bucket has one

local field = cmsgpack.unpack(ARGV[1])[1]
local record = false
for number = 2, #KEYS do
  record = record or redis.call('HGET', KEYS[number], field)
end
return { redis.call('GET', KEYS[1]), record }
