-- The driver applies a batch of bundles of mutations in one step, in three stages: prefetch reads what the mutations
-- need, execute runs them in memory, and store writes what has changed. Only the driver uses Redis.
--
-- A bundle is the mutations of one request id: one, or several of one call.
--
-- KEYS       the set of namespaces, the agenda, the number of open reservations
--            for each namespace: ledger, index:stock, index:counter, index:reservation, expiry:counter,
--                                expiry:reservation, expiry, and its three request buckets
--            for each namespace: revision, clock
--            every level that a mutation of the batch names, or that is forgotten if its time is up
-- ARGV       one text that has, one after another in MessagePack,
--            wall:                  the caller's own clock; this and all times are milliseconds since 1970
--            times:                 an array that has, one after another for each namespace,
--              held:                the time that the caller has reached; the namespace's time is not before it
--              generation:          a generation that the caller has found there, 0 for none
--              age:                 the age of that generation, counted on from what the caller found, by a clock that
--                                   never jumps
--            bucket span:           milliseconds that a request bucket takes records, at least
--            ledger length:         the approximate number of revisions that the ledger keeps; 0 keeps them all
--            reservation lifetime:  milliseconds that a reservation may live in all
--            reservation retention: milliseconds that one is kept after it has ended
--            final:                 1 if reservations whose time is up have just been expired, else 0
--            touches:               1 if a namespace is written even if only repeats came for it, else 0; then a WAIT
--                                   on this connection, which waits for its own writes alone, waits for the repeats
--            tidies:                1 if levels of the one namespace whose time is up are forgotten, else 0
--            bundles:               an array that has, one after another for each bundle,
--              namespace:           its number, 1 ..
--              request id:          empty if it has none; the ledger keeps the part before a \1
--              fingerprint:         of its body, FINGERPRINT_BYTES long
--              note:                a text that is kept with the record
--              atomic:              1 if all mutations are applied or none, else 0
--              identity:            the caller who makes it
--              parts:               the number of bundles of the request; the first is recorded under the request
--                                   id, the others under the id, \1 and their number
--              mutations:           the number of its mutations
--            mutations:             an array that has, one after another for each mutation,
--              operation:           its folder, _ and its file, such as stock_decrement
--              reason
--              reference
--              levels:              the number of its levels, then for each its index among the level keys, 1 ..
--              arguments:           the number of its arguments, then each: an integer or a text
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
--            DUE                reservations whose time is up hold copies: expire them and call again
--            READ_AGAIN         a level that a reservation holds is not among the keys: read it and call again
--            The last three undo the whole bundle, and are not recorded.
--
-- A request record is the fingerprint and then the reply to the bundle. An entry of the ledger is
--   operation, request id, reason, reference, identity, then for each level: its key after the prefix, the changes,
--   its text after (empty when it was deleted)
-- joined by tabs, in a stream entry whose ID is 0-<its last revision> and whose fields are "time" and then
-- each revision with its entry. The kinds define the changes and the text.
--
-- The time of a namespace never decreases: it is the latest of the time of its clock, of the time that the caller
-- has reached, and of the earlier one of Redis's clock and the caller's. So one clock that is ahead ends nothing early.
--
-- Request records are in three buckets, and all three are searched, so that no clock decides what is found. New records
-- go into the current one, which is that of the generation. When a generation is a span old, the next one begins with
-- the oldest bucket, which is emptied: so a record is forgotten when two spans have gone by at least. The age of a
-- generation is time that one caller after the other has seen go by in it, from one of its calls to a later one, by a
-- clock that never jumps. So it is never more than has really gone by. The clock of a namespace is
--   "<time> <generation> <its age; - if no bucket holds a record>"

local FINGERPRINT_BYTES = 8
local CHUNK = 4000 -- values in one command, or unpacked at once; Lua's limit is about 8,000
local LEAD_REPORTED = 100 -- milliseconds

-- The keys that all namespaces share. Their number is that of the first key of the first namespace, less 1.
local NAMESPACES_KEY, AGENDA_KEY, OPEN_RESERVATIONS_KEY, SHARED_KEYS = 1, 2, 3, 3

-- The other keys of a namespace, as offsets from its first key.
local LEDGER_KEY, INDEX_STOCK_KEY, INDEX_COUNTER_KEY, INDEX_RESERVATION_KEY = 0, 1, 2, 3
local EXPIRY_COUNTER_KEY, EXPIRY_RESERVATION_KEY, DUE_KEY, FIRST_BUCKET_KEY = 4, 5, 6, 7
local REQUEST_BUCKETS, KEYS_OF_NAMESPACE = 3, 10

-- The times of a namespace, as offsets from the first of them.
local TIME_HELD, TIME_GENERATION, TIME_AGE, VALUES_OF_TIMES = 0, 1, 2, 3

-- The values of a bundle, as offsets from its first value.
local BUNDLE_NAMESPACE, BUNDLE_ID, BUNDLE_FINGERPRINT, BUNDLE_NOTE, BUNDLE_ATOMIC = 0, 1, 2, 3, 4
local BUNDLE_IDENTITY, BUNDLE_PARTS, BUNDLE_MUTATIONS, VALUES_OF_BUNDLE = 5, 6, 7, 8

-- The values of a level in the list of all levels of the batch, as offsets from the last value of the level before. A
-- level has its key and its text, false where there is none. The first mutation that names the level adds its kind,
-- false until then; its name, which is its key after the prefix of the namespace; its value, false where there is none;
-- and its value before the batch. The first mutation that changes the level adds its namespace.
local LEVEL_KEY, LEVEL_TEXT, LEVEL_KIND, LEVEL_NAME, LEVEL_VALUE, LEVEL_BEFORE, LEVEL_CHANGED_IN = 1, 2, 3, 4, 5, 6, 7
local VALUES_OF_LEVEL = 7

-- A table constructor makes room for each nil in it, so that the table does not grow in a call with one change.

-- The id under which the record of one part of a request is kept.
local function record_id_of(request_id, part)
  return part == 0 and request_id or request_id .. '\1' .. part
end

-- Returns the ids to look for among the request records, by the number of the namespace; nil for a namespace without.
local function request_ids_of(bundles)
  local found = { nil }
  for offset = 1, #bundles, VALUES_OF_BUNDLE do
    local id, parts = bundles[offset + BUNDLE_ID], bundles[offset + BUNDLE_PARTS]
    if id ~= '' then
      local number = bundles[offset + BUNDLE_NAMESPACE]
      local ids = found[number] or { nil }
      found[number] = ids
      local request_id = parts > 1 and string.match(id, '^[^\1]+') or id
      for part = 0, parts - 1 do
        ids[#ids + 1] = record_id_of(request_id, part)
      end
    end
  end
  return found
end

-- Reads a clock from its text, which is false if there is none. Returns the time, the generation, its age (nil if no
-- bucket holds a record), and true if the text is not that of a clock.
local function clock_of(text)
  if not text then
    return 0, 1, nil, false
  end
  local time_text, generation_text, age_text = string.match(text, '^(%d+) (%d+) ([%d-]+)$')
  if not time_text then
    return 0, 1, nil, true
  end
  return in_range(time_text), in_range(generation_text), optional_of(age_text), false
end

-- Returns the age of the generation of a namespace. The caller may have counted further than the clock says.
local function age_of(age, generation, times, offset)
  if age and generation == times[offset + TIME_GENERATION] then
    return math.max(age, times[offset + TIME_AGE])
  end
  return age
end

-- Makes the table of a namespace: its state, and every change of the batch to it.
local function open_namespace(batch, number, revision_key, revision_text, clock_text, request_ids)
  local time_offset = (number - 1) * VALUES_OF_TIMES + 1
  local time, generation, age, is_broken = clock_of(clock_text)
  local is_integer, revision = pcall(integer_of, revision_text or '0')
  age = age_of(age, generation, batch.times, time_offset)
  local emptied
  if age and age >= batch.bucket_span and (request_ids or batch.tidies) then
    generation, age = generation + 1, 0
    emptied = generation % REQUEST_BUCKETS
  end
  local known = math.max(batch.agreed, batch.times[time_offset + TIME_HELD])
  local now = math.max(time, known)
  local now_text = text_of(now)
  local namespace = {
    first_key = SHARED_KEYS + (number - 1) * KEYS_OF_NAMESPACE + 1,
    revision_key = revision_key,
    prefix_length = #KEYS[revision_key] - #'revision',
    now = now,
    now_text = now_text,
    generation = generation,
    age = age,
    age_text = age and text_of(age),
    bucket = generation % REQUEST_BUCKETS,
    revision = is_integer and revision or 0,
    request_ids = request_ids,
    records = {}, -- request id -> record, of those that are known
    recorded = { nil, nil }, -- request id, record, … of those that are new, or go into the current bucket
    entries = { 'time', now_text, nil, nil }, -- then revision, entry, …
    -- Other fields are set when they are needed:
    --   is_ahead          the namespace is ahead of what the caller knows
    --   is_new            it has no revision yet
    --   broken            the reason why every bundle of the namespace fails
    --   emptied           the bucket that is emptied, because a generation begins with it
    --   bucket_of         request id -> the bucket in which its record was found
    --   moved_from        bucket -> the ids whose records go from it into the current bucket
    --   is_repeated       a request was known
    --   keeps_time        the clock must be written
    --   something_is_due  there are reservations whose time is up
    --   due_at            when next something must be done
    --   open_change       the change of the number of open reservations
  }
  if emptied then
    namespace.emptied = emptied
  end
  if now > known + LEAD_REPORTED then
    namespace.is_ahead = true
  end
  if namespace.revision == 0 then
    namespace.is_new = true
  end
  if is_broken then
    namespace.broken = 'the clock is ' .. clock_text
  elseif not is_integer then
    namespace.broken = 'the revision is ' .. revision_text
  end
  return namespace
end

-- Reads the namespaces and the levels of the batch with one MGET.
local function read_levels(batch, first_key, first_level_key)
  local request_ids = request_ids_of(batch.bundles)
  local namespaces, levels, size = batch.namespaces, batch.levels, 0
  for first = first_key, #KEYS, CHUNK do -- no chunk ends between a revision and its clock
    local last = math.min(first + CHUNK - 1, #KEYS)
    local found = redis.call('MGET', unpack(KEYS, first, last))
    for key = first, math.min(last, first_level_key - 1), 2 do
      local number, index = (key - first_key) / 2 + 1, key - first + 1
      namespaces[number] = open_namespace(batch, number, key, found[index], found[index + 1], request_ids[number])
    end
    for key = math.max(first, first_level_key), last do
      levels[size + LEVEL_KEY], levels[size + LEVEL_TEXT] = KEYS[key], found[key - first + 1]
      levels[size + LEVEL_KIND], levels[size + LEVEL_NAME], levels[size + LEVEL_VALUE] = false, false, false
      levels[size + LEVEL_BEFORE], levels[size + LEVEL_CHANGED_IN] = false, false
      size = size + VALUES_OF_LEVEL
    end
  end
end

-- Reads what a request bucket has of some request ids. A namespace whose records cannot be read fails alone.
local function read_records(namespace, bucket)
  local ids, key = namespace.request_ids, KEYS[namespace.first_key + FIRST_BUCKET_KEY + bucket]
  for first = 1, #ids, CHUNK do
    local last = math.min(first + CHUNK - 1, #ids)
    local records = redis.pcall('HMGET', key, unpack(ids, first, last))
    if records.err then
      namespace.broken = 'the request records cannot be read: ' .. records.err
      return
    end
    for index = 1, last - first + 1 do
      if records[index] then
        local id = ids[first + index - 1]
        namespace.bucket_of = namespace.bucket_of or {}
        namespace.records[id], namespace.bucket_of[id] = records[index], bucket
      end
    end
  end
end

-- Reads everything that the mutations need. Returns the batch: the call's values, the namespaces and the levels.
local function prefetch()
  local wall, times, bucket_span, ledger_length, reservation_lifetime_max, reservation_retention, final, touches,
    tidies, bundles, mutations = cmsgpack.unpack(ARGV[1])
  local redis_clock = redis.call('TIME')
  local redis_time = redis_clock[1] * 1000 + math.floor(redis_clock[2] / 1000)
  local namespace_count = #times / VALUES_OF_TIMES
  local first_revision_key = SHARED_KEYS + namespace_count * KEYS_OF_NAMESPACE + 1
  local batch = {
    namespaces = { nil },
    levels = { nil, nil, nil, nil, nil, nil, nil },
    bundles = bundles,
    mutations = mutations,
    redis_time = redis_time,
    agreed = math.min(redis_time, wall),
    times = times,
    bucket_span = bucket_span,
    ledger_length = ledger_length,
    settings = { reservation_lifetime_max = reservation_lifetime_max, reservation_retention = reservation_retention },
    is_final = final == 1,
    touches = touches == 1,
    tidies = tidies == 1,
    request_id = '', -- of the bundle that is run
    identity = '', -- of the bundle that is run
  }
  read_levels(batch, first_revision_key, first_revision_key + 2 * namespace_count)
  for number = 1, namespace_count do
    local namespace = batch.namespaces[number]
    for bucket = 0, namespace.request_ids and REQUEST_BUCKETS - 1 or -1 do
      if bucket ~= namespace.emptied then
        read_records(namespace, bucket)
      end
    end
  end
  return batch
end
