-- Applies a batch of mutations in one step: prefetch, execute, store. Only this file writes to Redis.
--
-- KEYS       for each namespace: ledger, index:stock, index:counter, expiry:counter, then its request buckets
--            for each namespace: revision
--            every level that a mutation of the batch names
-- ARGV       namespaces:        how many
--            buckets:           how many request buckets of each namespace are among the keys
--            first bucket:      the number of the first of them; a bucket's number is its start / bucket span
--            bucket span:       milliseconds
--            buckets looked in: how many, the current one included, cover the retention
--            ledger length:     how many revisions the ledger keeps, about; 0 keeps them all
--            for each mutation
--              namespace:       1 .. namespaces
--              operation:       the name of its file
--              request id:      empty if it has none
--              fingerprint:     of its body, FINGERPRINT_BYTES long
--              reason
--              reference
--              keys:            how many levels it names, then for each its place among the level keys, 1 ..
--              arguments:       how many, then each
-- returns    Redis's time in milliseconds, then for each mutation "<replayed 0 or 1> <outcome>", where an
--            outcome is one of
--              OK <revision> <time> <extras …>|<level>|<level> …  (levels after; before, for one deleted)
--              <refusal> 0 <time> <name> <number> <name> <number> …
--            The time alone means that the declared buckets are not those of Redis's clock, and that nothing
--            was done.
-- statuses   REQUEST_ID_REUSED  the request id is recorded with another fingerprint
--            FAILED             the operation raised an error, or the namespace's own keys contradict each other
--                               (someone else has written them); the text follows; not recorded
--
-- A request record is the fingerprint and then the outcome. An entry of the ledger is
--   operation, request id, reason, reference, then for each line: its key after the prefix, the change, the
--   level after (empty when it was deleted)
-- joined by tabs, in a stream entry whose ID is 0-<its last revision> and whose fields are "time" and then
-- each revision with its entry.

local FINGERPRINT_BYTES = 8
local CHUNK = 4000 -- values in one command, or unpacked at once; Lua's limit is about 8,000
local EXPIRED_NAMES_MAX = 100 -- taken out of an index at once
local KEYS_BEFORE_BUCKETS = 4

local namespace_count = tonumber(ARGV[1])
local bucket_count = tonumber(ARGV[2])
local first_bucket = tonumber(ARGV[3])
local bucket_span = tonumber(ARGV[4])
local buckets_looked_in = tonumber(ARGV[5])
local ledger_length = tonumber(ARGV[6])

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
    index_stock = KEYS[first_key + 1],
    index_counter = KEYS[first_key + 2],
    expiry_counter = KEYS[first_key + 3],
    bucket_before_first = first_key + KEYS_BEFORE_BUCKETS - 1 - first_bucket + 1,
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

-- The mutations, as the arguments give them.
local mutations = {}
do
  local at = 7
  for _ = 1, #ARGV do
    if at > #ARGV then
      break
    end
    local mutation = {
      namespace = namespaces[tonumber(ARGV[at])],
      operation = ARGV[at + 1],
      request_id = ARGV[at + 2],
      fingerprint = ARGV[at + 3],
      reason = ARGV[at + 4],
      reference = ARGV[at + 5],
      levels = {},
      arguments = {},
    }
    local level_count = tonumber(ARGV[at + 6])
    at = at + 6
    for place = 1, level_count do
      mutation.levels[place] = tonumber(ARGV[at + place])
    end
    at = at + level_count + 1
    local argument_count = tonumber(ARGV[at])
    for place = 1, argument_count do
      mutation.arguments[place] = ARGV[at + place]
    end
    at = at + argument_count + 1
    mutations[#mutations + 1] = mutation
    if mutation.request_id ~= '' then
      local ids = mutation.namespace.request_ids
      ids[#ids + 1] = mutation.request_id
    end
  end
end

-- Prefetch: one MGET for the revisions and the levels, and one HMGET for each request bucket.

-- The levels by their place: what they are in, their text, or false where there is none, and what they hold.
local level_keys, level_texts, level_values, levels_changed = {}, {}, {}, {}
local levels_stored, levels_expiring = {}, {} -- as they were before the batch
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
      local level = key - first_level_key + 1
      level_keys[level] = KEYS[key]
      level_texts[level] = text
      levels_stored[level] = text and true or false
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

-- Execute: each mutation sees what those before it did, in memory.

local function name_of(namespace, level)
  return string.sub(level_keys[level], namespace.prefix_length + 1)
end

-- How to read and write what a name, `stock:<location>:<item>` or `counter:<name>`, stands for.
local function kind_of(name)
  return string.sub(name, 1, 6) == 'stock:' and stock or counter
end

local function level_value_of(namespace, level)
  if level_values[level] == nil then
    local text = level_texts[level]
    local value = text and kind_of(name_of(namespace, level)).decode(text)
    level_values[level] = value
    levels_expiring[level] = value and value.expire_at and true or false
  end
  return level_values[level]
end

-- Runs a mutation's operation and finds out what it changes. It changes nothing itself, so that an error in
-- it leaves no trace.
local function execute(mutation)
  local namespace, inputs = mutation.namespace, {}
  for place, level in ipairs(mutation.levels) do
    inputs[place] = level_value_of(namespace, level)
  end
  local status, values, after = operations[mutation.operation](inputs, mutation.arguments, now)
  if status ~= 'OK' then
    for place, value in ipairs(values) do
      values[place] = place % 2 == 0 and text_of(value) or value
    end
    local refusal = { status, '0', now_text, unpack(values) }
    return { outcome = table.concat(refusal, ' ') }
  end

  local entry = { mutation.operation, mutation.request_id, mutation.reason, mutation.reference }
  local texts, outcome_levels = {}, {}
  for place, level in ipairs(mutation.levels) do
    local name = name_of(namespace, level)
    local kind = kind_of(name)
    local before, value = inputs[place], after[place]
    local text = value and kind.encode(value)
    texts[place] = text
    outcome_levels[place] = text or level_texts[level]
    entry[#entry + 1] = name
    entry[#entry + 1] =
      difference_text_of(value and kind.quantity(value) or 0, before and kind.quantity(before) or 0)
    entry[#entry + 1] = text or ''
  end
  local revision = text_of(namespace.revision + 1)
  local head = { 'OK', revision, now_text }
  for place, value in ipairs(values) do
    head[3 + place] = text_of(value)
  end
  return {
    outcome = table.concat(head, ' ') .. '|' .. table.concat(outcome_levels, '|'),
    revision = revision,
    entry = table.concat(entry, '\t'),
    after = after,
    texts = texts,
  }
end

local function take_over(mutation, result)
  local namespace = mutation.namespace
  for place, level in ipairs(mutation.levels) do
    level_values[level] = result.after[place]
    level_texts[level] = result.texts[place]
    levels_changed[level] = namespace
  end
  namespace.revision = namespace.revision + 1
  local entries = namespace.entries
  entries[#entries + 1] = result.revision
  entries[#entries + 1] = result.entry
end

local replies = { now_text }
for _, mutation in ipairs(mutations) do
  local namespace, request_id = mutation.namespace, mutation.request_id
  local record = namespace.records[request_id]
  local reply
  if namespace.broken then
    reply = '0 FAILED 0 ' .. now_text .. ' ' .. namespace.broken
  elseif record then
    if string.sub(record, 1, FINGERPRINT_BYTES) == mutation.fingerprint then
      reply = '1 ' .. string.sub(record, FINGERPRINT_BYTES + 1)
    else
      reply = '0 REQUEST_ID_REUSED 0 ' .. now_text
    end
  else
    local ran, result = pcall(execute, mutation)
    if ran then
      if result.after then
        take_over(mutation, result)
      end
      if request_id ~= '' then
        local new_record = mutation.fingerprint .. result.outcome
        namespace.records[request_id] = new_record
        namespace.recorded[#namespace.recorded + 1] = request_id
        namespace.recorded[#namespace.recorded + 1] = new_record
      end
      reply = '0 ' .. result.outcome
    else
      reply = '0 FAILED 0 ' .. now_text .. ' ' .. tostring(result)
    end
  end
  replies[#replies + 1] = reply
end

-- Store: the ledger, the levels and the request records; the indexes last, which the others do not rest on.

local function in_chunks(values, call)
  for first = 1, #values, CHUNK do
    call(unpack(values, first, math.min(first + CHUNK - 1, #values)))
  end
end

local levels_set = {} -- key, text, … for MSET
for _, namespace in ipairs(namespaces) do
  if #namespace.entries > 2 then
    local revision = text_of(namespace.revision)
    local oldest = ledger_length > 0 and namespace.revision - ledger_length or 0
    if oldest > 0 then
      redis.call('XADD', namespace.ledger, 'MINID', '~', '0-' .. text_of(oldest), '0-' .. revision,
        unpack(namespace.entries))
    else
      redis.call('XADD', namespace.ledger, '0-' .. revision, unpack(namespace.entries))
    end
    levels_set[#levels_set + 1] = namespace.revision_key
    levels_set[#levels_set + 1] = revision
  end
end

-- What changes in the indexes: a set of names for each of these keys.
local index_added, index_removed = {}, {}

local function collect(into, key, ...)
  local values = into[key] or {}
  into[key] = values
  for place = 1, select('#', ...) do
    values[#values + 1] = (select(place, ...))
  end
end

-- The index that a name is listed in, and how it is listed there: items before locations.
local function listing_of(namespace, name)
  local location, item = string.match(name, '^stock:([^:]*):(.*)$')
  if location then
    return namespace.index_stock, item .. '\0' .. location
  end
  return namespace.index_counter, string.sub(name, #'counter:' + 1)
end

-- Names whose counters have expired leave the index when others come to expire, so that it cannot grow
-- without bound.
local function drop_expired(namespace)
  local expired =
    redis.call('ZRANGE', namespace.expiry_counter, '-inf', '(' .. now_text, 'BYSCORE', 'LIMIT', 0, EXPIRED_NAMES_MAX)
  if #expired > 0 then
    redis.call('ZREM', namespace.index_counter, unpack(expired))
    redis.call('ZREM', namespace.expiry_counter, unpack(expired))
  end
end

local deleted, namespaces_expiring = {}, {}
for level, namespace in pairs(levels_changed) do
  local key, text, value = level_keys[level], level_texts[level], level_values[level]
  local index, listed = listing_of(namespace, name_of(namespace, level))
  if not value then
    deleted[#deleted + 1] = key
    collect(index_removed, index, listed)
  elseif value.expire_at then
    redis.call('SET', key, text, 'PXAT', text_of(value.expire_at))
    namespaces_expiring[namespace] = true
    collect(index_added, namespace.expiry_counter, text_of(value.expire_at), listed)
  else
    levels_set[#levels_set + 1] = key
    levels_set[#levels_set + 1] = text
  end
  if index == namespace.index_counter and not (value and value.expire_at)
    and (levels_expiring[level] or not levels_stored[level]) then
    collect(index_removed, namespace.expiry_counter, listed)
  end
  if value and not levels_stored[level] then
    collect(index_added, index, '0', listed)
  end
end

if #deleted > 0 then
  in_chunks(deleted, function(...) redis.call('DEL', ...) end)
end
in_chunks(levels_set, function(...) redis.call('MSET', ...) end)
for _, namespace in ipairs(namespaces) do
  if #namespace.recorded > 0 then
    local bucket = request_bucket_of(namespace, current_bucket)
    in_chunks(namespace.recorded, function(...) redis.call('HSET', bucket, ...) end)
    local expire_at = (current_bucket + buckets_looked_in) * bucket_span
    redis.call('PEXPIREAT', bucket, text_of(expire_at), 'NX')
  end
end
for namespace in pairs(namespaces_expiring) do
  drop_expired(namespace)
end
for key, names in pairs(index_removed) do
  in_chunks(names, function(...) redis.call('ZREM', key, ...) end)
end
for key, names in pairs(index_added) do
  in_chunks(names, function(...) redis.call('ZADD', key, ...) end)
end

return replies
