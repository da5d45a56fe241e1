-- Applies a batch of bundles of mutations in one step: prefetch, execute, store. This file reads what they need,
-- the next runs them in memory, and the last writes what has changed. Only these three use Redis.
--
-- A bundle is what comes under one request id: one mutation, or several of one call.
--
-- KEYS       for each namespace: ledger, index:stock, index:counter, index:reservation, expiry:counter,
--                                expiry:reservation, expiry, then its request buckets
--            for each namespace: revision
--            every level that a mutation of the batch names
-- ARGV       namespaces:            how many
--            buckets:               how many request buckets of each namespace are among the keys
--            first bucket:          the number of the first of them; a bucket's number is its start / bucket span
--            bucket span:           milliseconds
--            buckets looked in:     how many, the current one included, cover the retention
--            ledger length:         how many revisions the ledger keeps, about; 0 keeps them all
--            reservation lifetime:  milliseconds that a reservation may live in all
--            reservation retention: milliseconds that one is kept after it has ended
--            final:                 "1" if reservations whose time is up have just been expired, else "0"
--            touches:               "1" if a namespace of which only repeats came is written all the same, so that
--                                   a WAIT on this connection, which waits for its own writes alone, waits for theirs
--            for each bundle
--              namespace:           1 .. namespaces
--              request id:          empty if it has none; the ledger keeps what stands before a \1
--              fingerprint:         of its body, FINGERPRINT_BYTES long
--              note:                to be kept with the record
--              atomic:              "1" if all mutations are to be applied or none, else "0"
--              identity:            who makes it
--              mutations:           how many, then for each
--                operation:         the name of its file
--                reason
--                reference
--                keys:              how many levels it names, then for each its place among the level keys, 1 ..
--                arguments:         how many, then each
-- returns    Redis's time in milliseconds, then for each bundle "<replayed 0 or 1> <outcome>\30<outcome>…<note>",
--            where an outcome is one of
--              OK <revision> <time> <extras …>\n<level>\n<level>…  (levels after; before, for one deleted; of those
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
local CHUNK = 4000 -- values in one command, or unpacked at once; Lua's limit is about 8,000
local KEYS_BEFORE_BUCKETS = 7
local SETTINGS = 10

local namespace_count = tonumber(ARGV[1])
local bucket_count = tonumber(ARGV[2])
local first_bucket = tonumber(ARGV[3])
local bucket_span = tonumber(ARGV[4])
local buckets_looked_in = tonumber(ARGV[5])
local ledger_length = tonumber(ARGV[6])
settings.reservation_lifetime_max = tonumber(ARGV[7])
settings.reservation_retention = tonumber(ARGV[8])
local final = ARGV[9] == '1'
local touches = ARGV[10] == '1'

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
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
    ledger = KEYS[first_key],
    index = { [stock] = KEYS[first_key + 1], [counter] = KEYS[first_key + 2], [reservation] = KEYS[first_key + 3] },
    expiry = { [counter] = KEYS[first_key + 4], [reservation] = KEYS[first_key + 5] }, -- of names in the index
    due = KEYS[first_key + 6], -- active reservations by the time they end
    bucket_before_first = first_key + KEYS_BEFORE_BUCKETS - first_bucket,
    revision_key = KEYS[first_revision_key + number - 1],
    prefix_length = #KEYS[first_revision_key + number - 1] - #'revision',
    request_ids = {},
    records = {}, -- request id -> record, of those that are known
    recorded = {}, -- request id, record, … of those that are new
    entries = { 'time', now_text }, -- then revision, entry, …
  }
end

local function request_bucket_of(namespace, bucket)
  return KEYS[namespace.bucket_before_first + bucket]
end

local kinds = { ['stock:'] = stock, ['counter:'] = counter, ['reservation:'] = reservation }

-- The levels by their place among the keys. Each has its key; its name, which is what follows the namespace's prefix;
-- its kind; its text, false where there is none; its value, once an operation has asked;
-- what that was before the batch; and, once it has changed, the namespace that it is in.
local levels = {}

local function level_at(place, namespace)
  local level = levels[place]
  if not level then
    local key = KEYS[first_level_key + place - 1]
    local name = string.sub(key, namespace.prefix_length + 1)
    local kind = kinds[string.sub(name, 1, string.find(name, ':', 1, true))]
    level = { key = key, name = name, kind = kind, text = nil, value = nil, before = nil, changed_in = nil }
    levels[place] = level
  end
  return level
end

-- The bundles, as the arguments give them.
local bundles = {}
do
  local at = SETTINGS + 1

  -- The values that follow their number.
  local function next_values()
    local first = at + 1
    at = first + tonumber(ARGV[at])
    if at - first > CHUNK then
      local values = {}
      for place = first, at - 1 do
        values[place - first + 1] = ARGV[place]
      end
      return values
    end
    return { unpack(ARGV, first, at - 1) }
  end

  for _ = 1, #ARGV do
    if at > #ARGV then
      break
    end
    local bundle = {
      namespace = namespaces[tonumber(ARGV[at])],
      request_id = ARGV[at + 1],
      fingerprint = ARGV[at + 2],
      note = ARGV[at + 3],
      atomic = ARGV[at + 4] == '1',
      identity = ARGV[at + 5],
      mutations = {},
    }
    local mutation_count = tonumber(ARGV[at + 6])
    at = at + 7
    for number = 1, mutation_count do
      local operation, reason, reference = ARGV[at], ARGV[at + 1], ARGV[at + 2]
      at = at + 3
      local named = next_values()
      for place = 1, #named do
        named[place] = level_at(tonumber(named[place]), bundle.namespace)
      end
      bundle.mutations[number] = {
        bundle = bundle,
        operation = operation,
        reason = reason,
        reference = reference,
        levels = named,
        arguments = next_values(),
      }
    end
    bundles[#bundles + 1] = bundle
    if bundle.request_id ~= '' then
      local ids = bundle.namespace.request_ids
      ids[#ids + 1] = bundle.request_id
    end
  end
end

-- One MGET for the revisions and the levels.
for first = first_revision_key, #KEYS, CHUNK do
  local last = math.min(first + CHUNK - 1, #KEYS)
  local texts = redis.call('MGET', unpack(KEYS, first, last))
  for place = 1, last - first + 1 do
    local key = first + place - 1
    local text = texts[place]
    if key < first_level_key then
      local namespace = namespaces[key - first_revision_key + 1]
      local is_integer, revision = pcall(integer_of, text or '0')
      namespace.revision = is_integer and revision or 0
      namespace.broken = not is_integer and 'the revision is ' .. text or nil
    else
      levels[key - first_level_key + 1].text = text
    end
  end
end

-- What would make a write of this namespace fail is found out now, so that no write fails after another, and
-- no other namespace of the batch suffers from it.
for _, namespace in ipairs(namespaces) do
  local beyond = redis.pcall('XRANGE', namespace.ledger, '(0-' .. text_of(namespace.revision), '+', 'COUNT', 1)
  if beyond.err then
    namespace.broken = 'the ledger cannot be read: ' .. beyond.err
  elseif #beyond > 0 and not namespace.broken then
    namespace.broken = 'the ledger goes on after the revision, ' .. text_of(namespace.revision)
  end
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
