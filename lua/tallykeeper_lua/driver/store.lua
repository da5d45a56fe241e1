-- Writes what has changed: the ledger first, then the levels and the request records; the indexes last, which the
-- others do not rest on.

-- Calls a command on a key with values that may be too many for one call.
local function write(command, key, values)
  for first = 1, #values, CHUNK do
    redis.call(command, key, unpack(values, first, math.min(first + CHUNK - 1, #values)))
  end
end

-- The same with values that begin with keys.
local function write_keys(command, values)
  for first = 1, #values, CHUNK do
    redis.call(command, unpack(values, first, math.min(first + CHUNK - 1, #values)))
  end
end

-- Adds the namespace's new entries to its ledger. Returns why that cannot be, if it cannot: then none was added.
-- Redis takes no entry unless it follows the last one there is. It knows those of one call as one, by the last
-- revision; so if there are several, those that the ledger has from the first of them on are looked for.
local function refusal_by_ledger(namespace, revision)
  local ledger, entries = ledger_of(namespace), namespace.entries
  if #entries > 4 then
    local there = redis.pcall('XRANGE', ledger, '0-' .. entries[3], '+', 'COUNT', 1)
    if there.err then
      return there.err
    elseif #there > 0 then
      return 'it has later ones'
    end
  end
  local oldest = ledger_length > 0 and namespace.revision - ledger_length or 0
  local added
  if oldest > 0 then
    added = redis.pcall('XADD', ledger, 'MINID', '~', '0-' .. text_of(oldest), '0-' .. revision, unpack(entries))
  else
    added = redis.pcall('XADD', ledger, '0-' .. revision, unpack(entries))
  end
  return type(added) == 'table' and added.err or nil
end

local levels_set = {} -- key, text, … for MSET
local is_refused = false
for _, namespace in ipairs(namespaces) do
  if #namespace.entries > 2 then
    local revision = text_of(namespace.revision)
    local refusal = refusal_by_ledger(namespace, revision)
    if refusal then
      namespace.broken = 'the ledger does not take revision ' .. revision .. ': ' .. refusal
      is_refused = true
    else
      levels_set[#levels_set + 1] = namespace.revision_key
      levels_set[#levels_set + 1] = revision
    end
  elseif touches == 1 and namespace.repeated then
    levels_set[#levels_set + 1] = namespace.revision_key
    levels_set[#levels_set + 1] = text_of(namespace.revision)
  end
end

-- What changes in the sorted sets: members, or scores and members, for each of these keys.
local index_added, index_removed = {}, {}

local function collect(into, key, ...)
  local values = into[key] or {}
  into[key] = values
  for place = 1, select('#', ...) do
    values[#values + 1] = (select(place, ...))
  end
end

-- When a level is to be forgotten, nil for never.
local function gone_at_of(kind, level)
  return level and kind.gone_at and kind.gone_at(level)
end

-- Notes a time at which something is to be done in a namespace, so that nobody need look at it before.
local function put_on_agenda(namespace, time)
  if not namespace.due_at or time < namespace.due_at then
    namespace.due_at = time
  end
end

-- Keeps the indexes of a level's kind: where it is listed, and when it is to be forgotten.
local function index_level(place, namespace, kind)
  local before, value = values_before[place], level_values[place]
  local id = string.sub(level_names[place], string.find(level_names[place], ':', 1, true) + 1)
  local index, expiry = index_of(namespace, kind), expiry_of(namespace, kind)
  local listed_before = before and kind.listed(id, before)
  local listed = value and kind.listed(id, value)
  if listed_before and listed_before ~= listed then
    collect(index_removed, index, listed_before)
  end
  if listed and listed_before ~= listed then
    collect(index_added, index, '0', listed)
  end
  local gone_at = gone_at_of(kind, value)
  if gone_at then
    collect(index_added, expiry, text_of(gone_at), listed)
    put_on_agenda(namespace, gone_at)
  elseif expiry and (not before or gone_at_of(kind, before)) then
    collect(index_removed, expiry, listed or listed_before)
  end
  if kind ~= reservation then
    return
  end
  local was_open, is_open = before and before.state == 'ACTIVE', value and value.state == 'ACTIVE'
  namespace.open_change = namespace.open_change + (is_open and 1 or 0) - (was_open and 1 or 0)
  if is_open then
    collect(index_added, due_of(namespace), text_of(value.expire_at), id)
    put_on_agenda(namespace, value.expire_at)
  elseif was_open then
    collect(index_removed, due_of(namespace), id)
  end
end

-- Forgets the levels that are over, in a call that tidies its one namespace.
local function forget_what_is_over()
  home = namespaces[1]
  for place = 1, level_count do
    local is_changed = changed_in[place]
    local has_value = pcall(value_at, place)
    if has_value and not is_changed and not level_values[place] and values_before[place] then
      changed_in[place] = home
    end
  end
end

if tidies == 1 and not namespaces[1].broken then
  forget_what_is_over()
end

local deleted = {}
for place = 1, level_count do
  local namespace, kind = changed_in[place], level_kinds[place]
  if namespace and not namespace.broken then
    local before, value = values_before[place], level_values[place]
    local gone_at = gone_at_of(kind, value)
    if value then
      local size = #levels_set
      levels_set[size + 1], levels_set[size + 2] = KEYS[first_level_key + place - 1], level_texts[place]
    else
      deleted[#deleted + 1] = KEYS[first_level_key + place - 1]
    end
    local stays = kind ~= reservation and before and value and not gone_at and not gone_at_of(kind, before)
    if (value or before) and not stays then
      index_level(place, namespace, kind)
    end
  end
end

-- When the generation of a namespace is old enough, in the namespace's time.
local function end_of_generation(namespace)
  return namespace.now + bucket_span - namespace.age
end

-- Notes that a namespace of which no bucket holds a record has none to empty, in a call that tidies it.
local function notice_empty_buckets(namespace)
  local first = namespace.first_key + FIRST_BUCKET
  for bucket = 0, REQUEST_BUCKETS - 1 do
    if bucket ~= namespace.emptied and redis.call('EXISTS', KEYS[first + bucket]) == 1 then
      return
    end
  end
  namespace.age, namespace.keeps_time = nil, true
end

-- Adds the clock of a namespace to what is written, where the time that it has come to is to be kept.
local function keep_clock(namespace)
  local records, begins = #namespace.recorded > 0, namespace.emptied
  if records and not namespace.age then
    namespace.age, begins = 0, true
  end
  if begins and namespace.age then
    put_on_agenda(namespace, end_of_generation(namespace))
  end
  if records or namespace.emptied or namespace.keeps_time or #namespace.entries > 2 then
    local size = #levels_set
    levels_set[size + 1] = namespace.clock_key
    levels_set[size + 2] = namespace.now_text .. ' ' .. text_of(namespace.generation) .. ' '
      .. optional_text_of(namespace.age)
  end
end

-- Writes the request records of a namespace.
local function store_records(namespace)
  if namespace.emptied then
    redis.call('UNLINK', request_bucket_of(namespace, namespace.emptied))
  end
  write('HSET', request_bucket_of(namespace, namespace.bucket), namespace.recorded)
  for bucket, ids in pairs(namespace.moved_from or {}) do
    write('HDEL', request_bucket_of(namespace, bucket), ids)
  end
end

for _, namespace in ipairs(namespaces) do
  if not namespace.broken then
    if tidies == 1 then
      notice_empty_buckets(namespace)
    end
    keep_clock(namespace)
  end
end
write_keys('DEL', deleted)
write_keys('MSET', levels_set)
for _, namespace in ipairs(namespaces) do
  if not namespace.broken then
    store_records(namespace)
  end
end
for key, names in pairs(index_removed) do
  write('ZREM', key, names)
end
for key, names in pairs(index_added) do
  write('ZADD', key, names)
end

-- The first score of a sorted set; false if it is empty.
local function first_score_of(key)
  local score = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  return score and score + 0 or false
end

-- Finds when next there is something to do in a namespace.
local function find_due_time(namespace)
  local key = namespace.first_key
  namespace.due_at = nil
  for _, time in ipairs({
    first_score_of(due_of(namespace)),
    first_score_of(KEYS[key + 4]),
    first_score_of(KEYS[key + 5]),
    namespace.age and end_of_generation(namespace) or false,
  }) do
    if time then
      put_on_agenda(namespace, time)
    end
  end
end

-- What belongs to no namespace alone: the set of namespaces, the agenda and the number of open reservations. Where
-- someone else has written them, the changes stand nevertheless, and who reads them says what is wrong.
for _, namespace in ipairs(namespaces) do
  if not namespace.broken then
    if namespace.revision > 0 and (namespace.revision_before == 0 or tidies == 1) then
      redis.pcall('SADD', KEYS[1], name_of(namespace))
    end
    if tidies == 1 then
      find_due_time(namespace)
    end
    if namespace.due_at and tidies == 1 then
      redis.pcall('ZADD', KEYS[2], text_of(namespace.due_at), name_of(namespace))
    elseif namespace.due_at then
      redis.pcall('ZADD', KEYS[2], 'LT', text_of(namespace.due_at), name_of(namespace))
    elseif tidies == 1 then
      redis.pcall('ZREM', KEYS[2], name_of(namespace))
    end
    if namespace.open_change ~= 0 then
      redis.pcall('INCRBY', KEYS[3], text_of(namespace.open_change))
    end
  end
end

if is_refused then
  local place = 1 -- among the replies, the first of which is the time
  for at = 1, #bundles, VALUES_OF_BUNDLE do
    place = place + 1
    local namespace = namespaces[bundles[at]]
    if namespace.broken then
      replies[place] = failure_of(namespace)
    end
  end
end

return replies
