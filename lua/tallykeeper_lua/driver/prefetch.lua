-- Applies a batch of bundles of mutations in one step: prefetch, execute, store. This file reads what they need,
-- the next runs them in memory, and the last writes what has changed. Only these three use Redis.
--
-- A bundle is what comes under one request id: one mutation, or several of one call.
--
-- KEYS       the set of namespaces, the agenda, the number of open reservations
--            for each namespace: ledger, index:stock, index:counter, index:reservation, expiry:counter,
--                                expiry:reservation, expiry, and its three request buckets
--            for each namespace: revision, clock
--            every level that a mutation of the batch names, or that is to be forgotten if it is over
-- ARGV       one MessagePack array of
--            namespaces:            how many
--            wall:                  the caller's own clock; this and all times are milliseconds since 1970
--            held:                  the time that the caller has come to; a namespace's time is not before it
--            held apart:            an array of number, held for each namespace with a held time of its own
--            counted:               an array of two for each namespace: a generation that the caller has found there, 0
--                                   for none; and the age of that generation, counted on from what it found, by a clock
--                                   that never jumps
--            bucket span:           milliseconds that a request bucket takes records, at least
--            ledger length:         how many revisions the ledger keeps, about; 0 keeps them all
--            reservation lifetime:  milliseconds that a reservation may live in all
--            reservation retention: milliseconds that one is kept after it has ended
--            final:                 1 if reservations whose time is up have just been expired, else 0
--            touches:               1 if a namespace of which only repeats came is written all the same, so that
--                                   a WAIT on this connection, which waits for its own writes alone, waits for theirs
--            tidies:                1 if what is over in the one namespace is to be forgotten, else 0
--            bundles:               an array that has, one after another for each bundle,
--              namespace:           1 .. namespaces
--              request id:          empty if it has none; the ledger keeps what stands before a \1
--              fingerprint:         of its body, FINGERPRINT_BYTES long
--              note:                to be kept with the record
--              atomic:              1 if all mutations are to be applied or none, else 0
--              identity:            who makes it
--              parts:               how many bundles the request consists of; the first is recorded under the request
--                                   id, the others under the id, \1 and their number
--              mutations:           how many
--            mutations:             an array that has, one after another for each mutation,
--              operation:           its folder, _ and its file, such as stock_decrement
--              reason
--              reference
--              keys:                how many levels it names, then for each its place among the level keys, 1 ..
--              arguments:           how many, then each: an integer or a text
-- returns    Redis's time, the generation and its age of each namespace, and " <number> <time>" for each namespace
--            whose time is ahead of what the caller knows and of both clocks; then for each bundle
--            "<outcome>\30<outcome>…<note>", after "* " if it is a replay, where an outcome is one of
--              OK <revision> <time> <extra>\n<level>\n<level>…  (levels after; before, for one deleted; of those
--                                                                   of a reservation, the reservation alone)
--              <refusal> 0 <time> <name> <number> <name> <number> …
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
--
-- The time of a namespace never decreases: it is the latest of the time that its clock holds, of what the caller has
-- come to, and of the earlier one of Redis's clock and the caller's. So one clock that is ahead ends nothing early.
--
-- Request records lie in three buckets, and all three are searched, so that no clock decides what is found. New records
-- go into the current one, which is that of the generation. When a generation is a span old, the next one begins with
-- the oldest bucket, which is emptied: so a record is forgotten when two spans have gone by at least. The age of a
-- generation is time that one caller after the other has seen go by in it, from one of its calls to a later one, by a
-- clock that never jumps. So it is never more than has really gone by. The clock of a namespace is
--   "<time> <generation> <its age; - if no bucket holds a record>"

local FINGERPRINT_BYTES = 8
local VALUES_OF_BUNDLE = 8
local CHUNK = 4000 -- values in one command, or unpacked at once; Lua's limit is about 8,000
local SHARED_KEYS = 3
local REQUEST_BUCKETS = 3
local LEAD_REPORTED = 100 -- milliseconds
local KEYS_OF_NAMESPACE = 7 + REQUEST_BUCKETS
local FIRST_BUCKET = 7 -- after so many of a namespace's keys

local namespace_count, wall, held_time, held_apart, counted, bucket_span, ledger_length, reservation_lifetime_max,
  reservation_retention, final, touches, tidies, bundles, mutations = unpack(cmsgpack.unpack(ARGV[1]))
settings.reservation_lifetime_max = reservation_lifetime_max
settings.reservation_retention = reservation_retention

local redis_clock = redis.call('TIME')
local redis_time = redis_clock[1] * 1000 + math.floor(redis_clock[2] / 1000)
local agreed = math.min(redis_time, wall)

local first_revision_key = SHARED_KEYS + namespace_count * KEYS_OF_NAMESPACE + 1
local first_level_key = first_revision_key + 2 * namespace_count

-- The namespaces of the batch, and what the batch does to each.
local namespaces = {}
for number = 1, namespace_count do
  local revision_key = KEYS[first_revision_key + 2 * (number - 1)]
  namespaces[number] = {
    first_key = SHARED_KEYS + (number - 1) * KEYS_OF_NAMESPACE + 1,
    revision_key = revision_key,
    clock_key = KEYS[first_revision_key + 2 * number - 1],
    prefix_length = #revision_key - #'revision',
    held = held_time,
    counted_generation = counted[2 * number - 1],
    counted_age = counted[2 * number],
    request_ids = {},
    records = {}, -- request id -> record, of those that are known
    bucket_of = {}, -- request id -> the number of the bucket that its record was found in
    recorded = {}, -- request id, record, … of those that are new, or go into the current bucket
    entries = { 'time' }, -- then the time, revision, entry, …
    open_change = 0, -- by how much the number of open reservations changes
  }
end
for at = 1, #held_apart, 2 do
  namespaces[held_apart[at]].held = held_apart[at + 1]
end

-- The name of a namespace, which is the hash tag of its keys.
local function name_of(namespace)
  return string.sub(namespace.revision_key, #'tk:{' + 1, namespace.prefix_length - #'}:')
end

local function ledger_of(namespace)
  return KEYS[namespace.first_key]
end

-- The index of a kind of level.
local function index_of(namespace, kind)
  return KEYS[namespace.first_key + (kind == stock and 1 or kind == counter and 2 or 3)]
end

-- When the names in an index are to be forgotten; nil for a kind of which none is.
local function expiry_of(namespace, kind)
  return kind ~= stock and KEYS[namespace.first_key + (kind == counter and 4 or 5)] or nil
end

-- The active reservations by the time they end.
local function due_of(namespace)
  return KEYS[namespace.first_key + 6]
end

local function request_bucket_of(namespace, bucket)
  return KEYS[namespace.first_key + FIRST_BUCKET + bucket]
end

-- The request id that one part of a request is recorded under.
local function record_id_of(request_id, part)
  return part == 0 and request_id or request_id .. '\1' .. part
end

for at = 1, #bundles, VALUES_OF_BUNDLE do
  local id, parts = bundles[at + 1], bundles[at + 6]
  if id ~= '' then
    local ids = namespaces[bundles[at]].request_ids
    if parts == 1 then
      ids[#ids + 1] = id
    else
      local request_id = string.match(id, '^[^\1]+')
      for part = 0, parts - 1 do
        ids[#ids + 1] = record_id_of(request_id, part)
      end
    end
  end
end

-- Starts a namespace's clock from its text, false where there is none.
local function start_clock(namespace, text)
  local time, generation, age = 0, 1, nil
  if text then
    local time_text, generation_text, age_text = string.match(text, '^(%d+) (%d+) ([%d-]+)$')
    if time_text then
      time, generation, age = in_range(time_text), in_range(generation_text), optional_of(age_text)
    else
      namespace.broken = 'the clock is ' .. text
    end
  end
  if age and generation == namespace.counted_generation then
    age = math.max(age, namespace.counted_age)
  end
  if age and age >= bucket_span and (#namespace.request_ids > 0 or tidies == 1) then
    generation, age = generation + 1, 0
    namespace.emptied = generation % REQUEST_BUCKETS
  end
  local now = math.max(time, agreed, namespace.held)
  namespace.now, namespace.now_text, namespace.entries[2] = now, text_of(now), text_of(now)
  namespace.generation, namespace.age, namespace.bucket = generation, age, generation % REQUEST_BUCKETS
end

-- The levels by their place among the keys. Each has its text, false where there is none; and once an operation has
-- asked for it its kind; its name, which is what follows the namespace's prefix; its value, false where there is none;
-- what that was before the batch; and, once it has changed, the namespace that it is in.
local level_count = #KEYS - first_level_key + 1
local level_texts, level_kinds, level_names, level_values, values_before, changed_in = {}, {}, {}, {}, {}, {}

-- One MGET for the revisions, the clocks and the levels.
for first = first_revision_key, #KEYS, CHUNK do
  local last = math.min(first + CHUNK - 1, #KEYS)
  local found = redis.call('MGET', unpack(KEYS, first, last))
  for place = 1, last - first + 1 do
    local key = first + place - 1
    local text = found[place]
    if key >= first_level_key then
      level_texts[key - first_level_key + 1] = text
    else
      local after_first = key - first_revision_key
      local namespace = namespaces[math.floor(after_first / 2) + 1]
      if after_first % 2 == 1 then
        start_clock(namespace, text)
      else
        local is_integer, revision = pcall(integer_of, text or '0')
        namespace.revision = is_integer and revision or 0
        namespace.revision_before = namespace.revision
        namespace.broken = not is_integer and 'the revision is ' .. text or nil
      end
    end
  end
end

-- A namespace whose keys someone else has written fails alone: what would make a write of it fail is found out before,
-- or by its first write, that of the ledger.
for _, namespace in ipairs(namespaces) do
  local ids = namespace.request_ids
  for bucket = 0, #ids > 0 and REQUEST_BUCKETS - 1 or -1 do
    for first = 1, bucket ~= namespace.emptied and #ids or 0, CHUNK do
      local last = math.min(first + CHUNK - 1, #ids)
      local records = redis.pcall('HMGET', request_bucket_of(namespace, bucket), unpack(ids, first, last))
      if records.err then
        namespace.broken = 'the request records cannot be read: ' .. records.err
        break
      end
      for place = 1, last - first + 1 do
        if records[place] then
          local id = ids[first + place - 1]
          namespace.records[id], namespace.bucket_of[id] = records[place], bucket
        end
      end
    end
  end
end
