-- Applies a batch of bundles of mutations in one step: prefetch, execute, store. This file reads what they need,
-- the next runs them in memory, and the last writes what has changed. Only these three use Redis.
--
-- A bundle is what comes under one request id: one mutation, or several of one call.
--
-- KEYS       for each namespace: ledger, index:stock, index:counter, index:reservation, expiry:counter,
--                                expiry:reservation, expiry, then its request buckets
--            for each namespace: revision
--            every level that a mutation of the batch names
-- ARGV       one MessagePack array of
--            namespaces:            how many
--            buckets:               how many request buckets of each namespace are among the keys
--            first bucket:          the number of the first of them; a bucket's number is its start / bucket span
--            bucket span:           milliseconds
--            buckets looked in:     how many, the current one included, cover the retention
--            ledger length:         how many revisions the ledger keeps, about; 0 keeps them all
--            reservation lifetime:  milliseconds that a reservation may live in all
--            reservation retention: milliseconds that one is kept after it has ended
--            final:                 1 if reservations whose time is up have just been expired, else 0
--            touches:               1 if a namespace of which only repeats came is written all the same, so that
--                                   a WAIT on this connection, which waits for its own writes alone, waits for theirs
--            bundles:               an array that has, one after another for each bundle,
--              namespace:           1 .. namespaces
--              request id:          empty if it has none; the ledger keeps what stands before a \1
--              fingerprint:         of its body, FINGERPRINT_BYTES long
--              note:                to be kept with the record
--              atomic:              1 if all mutations are to be applied or none, else 0
--              identity:            who makes it
--              mutations:           how many
--            mutations:             an array that has, one after another for each mutation,
--              operation:           the name of its file
--              reason
--              reference
--              keys:                how many levels it names, then for each its place among the level keys, 1 ..
--              arguments:           how many, then each: an integer or a text
-- returns    Redis's time in milliseconds, then for each bundle "<outcome>\30<outcome>…<note>", after "* " if it is a
--            replay, where an outcome is one of
--              OK <revision> <time> <extra>\n<level>\n<level>…  (levels after; before, for one deleted; of those
--                                                                   of a reservation, the reservation alone)
--              <refusal> 0 <time> <name> <number> <name> <number> …
--            The time alone means that the declared buckets are not those of Redis's clock, and that nothing
--            was done.
-- statuses   REQUEST_ID_REUSED  the request id is recorded with another fingerprint
--            NOT_APPLIED        another mutation of the atomic bundle was refused
--            FAILED             an operation raised an error, or the namespace's own keys contradict each other
--                               (someone else has written them); the text follows
--            DUE                copies are held by reservations whose time is up: expire them and come again
--            READ_AGAIN         a level that a reservation holds is not among the keys: read it and come again
--            The last three undo the whole bundle, and are not recorded.
--
-- A request record is the fingerprint and then what is returned of the bundle. An entry of the ledger is
--   operation, request id, reason, reference, identity, then for each level: its key after the prefix, the changes,
--   its text after (empty when it was deleted)
-- joined by tabs, in a stream entry whose ID is 0-<its last revision> and whose fields are "time" and then
-- each revision with its entry. What changes and text are, the kinds say.

local FINGERPRINT_BYTES = 8
local VALUES_OF_BUNDLE = 7
local CHUNK = 4000 -- values in one command, or unpacked at once; Lua's limit is about 8,000
local KEYS_BEFORE_BUCKETS = 7

local namespace_count, bucket_count, first_bucket, bucket_span, buckets_looked_in, ledger_length,
  reservation_lifetime_max, reservation_retention, final, touches, bundles, mutations = unpack(cmsgpack.unpack(ARGV[1]))
settings.reservation_lifetime_max = reservation_lifetime_max
settings.reservation_retention = reservation_retention

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now_text = text_of(now)

local current_bucket = math.floor(now / bucket_span)
if current_bucket - buckets_looked_in + 1 < first_bucket or current_bucket >= first_bucket + bucket_count then
  return { now_text }
end

local keys_of_namespace = KEYS_BEFORE_BUCKETS + bucket_count
local first_revision_key = namespace_count * keys_of_namespace + 1
local first_level_key = first_revision_key + namespace_count

-- The namespaces of the batch, and what the batch does to each.
local namespaces = {}
for number = 1, namespace_count do
  local first_key = (number - 1) * keys_of_namespace + 1
  namespaces[number] = {
    first_key = first_key,
    bucket_before_first = first_key + KEYS_BEFORE_BUCKETS - first_bucket,
    revision_key = KEYS[first_revision_key + number - 1],
    prefix_length = #KEYS[first_revision_key + number - 1] - #'revision',
    request_ids = {},
    records = {}, -- request id -> record, of those that are known
    recorded = {}, -- request id, record, … of those that are new
    entries = { 'time', now_text }, -- then revision, entry, …
  }
end

local function ledger_of(namespace)
  return KEYS[namespace.first_key]
end

-- The index of a kind of level.
local function index_of(namespace, kind)
  return KEYS[namespace.first_key + (kind == stock and 1 or kind == counter and 2 or 3)]
end

-- When the names in an index leave it by themselves; nil for a kind of which none does.
local function expiry_of(namespace, kind)
  return kind ~= stock and KEYS[namespace.first_key + (kind == counter and 4 or 5)] or nil
end

-- The active reservations by the time they end.
local function due_of(namespace)
  return KEYS[namespace.first_key + 6]
end

local function request_bucket_of(namespace, bucket)
  return KEYS[namespace.bucket_before_first + bucket]
end

for at = 1, #bundles, VALUES_OF_BUNDLE do
  if bundles[at + 1] ~= '' then
    local ids = namespaces[bundles[at]].request_ids
    ids[#ids + 1] = bundles[at + 1]
  end
end

-- The levels by their place among the keys. Each has its text, false where there is none; and once an operation has
-- asked for it its kind; its name, which is what follows the namespace's prefix; its value, false where there is none;
-- what that was before the batch; and, once it has changed, the namespace that it is in.
local level_count = #KEYS - first_level_key + 1
local level_texts, level_kinds, level_names, level_values, values_before, changed_in = {}, {}, {}, {}, {}, {}

-- One MGET for the revisions and the levels.
for first = first_revision_key, #KEYS, CHUNK do
  local last = math.min(first + CHUNK - 1, #KEYS)
  local found = redis.call('MGET', unpack(KEYS, first, last))
  for place = 1, last - first + 1 do
    local key = first + place - 1
    local text = found[place]
    if key < first_level_key then
      local namespace = namespaces[key - first_revision_key + 1]
      local is_integer, revision = pcall(integer_of, text or '0')
      namespace.revision = is_integer and revision or 0
      namespace.broken = not is_integer and 'the revision is ' .. text or nil
    else
      level_texts[key - first_level_key + 1] = text
    end
  end
end

-- A namespace whose keys someone else has written fails alone: what would make a write of it fail is found out before,
-- or by its first write, that of the ledger.
for _, namespace in ipairs(namespaces) do
  local ids = namespace.request_ids
  for bucket = current_bucket - buckets_looked_in + 1, #ids > 0 and current_bucket or 0 do
    for first = 1, #ids, CHUNK do
      local last = math.min(first + CHUNK - 1, #ids)
      local records = redis.pcall('HMGET', request_bucket_of(namespace, bucket), unpack(ids, first, last))
      if records.err then
        namespace.broken = 'the request records cannot be read: ' .. records.err
        break
      end
      for place = 1, last - first + 1 do
        if records[place] then
          namespace.records[ids[first + place - 1]] = records[place]
        end
      end
    end
  end
end
