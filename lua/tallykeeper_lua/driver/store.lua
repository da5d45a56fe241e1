-- Writes the changes: the ledger first, then the levels and the request records. The indexes are last, because no other
-- key depends on them.

-- Calls a command with values that may be too many for one call. If `key` is nil, the values begin with keys.
local function write(command, key, values)
  for first = 1, #values, CHUNK do
    local last = math.min(first + CHUNK - 1, #values)
    if key then
      redis.call(command, key, unpack(values, first, last))
    else
      redis.call(command, unpack(values, first, last))
    end
  end
end

-- Adds the new entries of a namespace to its ledger. If that is not possible, adds none and returns the reason.
-- Redis takes no entry unless it follows the last entry there is. It knows the entries of one call as one, by the last
-- revision. So if the call has several entries, the ledger must have none from the first of them on.
local function refusal_by_ledger(batch, namespace, revision)
  local ledger, entries = KEYS[namespace.first_key + LEDGER_KEY], namespace.entries
  if #entries > 4 then
    local there = redis.pcall('XRANGE', ledger, '0-' .. entries[3], '+', 'COUNT', 1)
    if there.err then
      return there.err
    elseif #there > 0 then
      return 'it has later ones'
    end
  end
  local oldest = batch.ledger_length > 0 and namespace.revision - batch.ledger_length or 0
  local added
  if oldest > 0 then
    added = redis.pcall('XADD', ledger, 'MINID', '~', '0-' .. text_of(oldest), '0-' .. revision, unpack(entries))
  else
    added = redis.pcall('XADD', ledger, '0-' .. revision, unpack(entries))
  end
  return type(added) == 'table' and added.err or nil
end

-- Writes the ledger of a namespace, and adds its revision to the keys and texts for MSET.
local function store_revision(batch, namespace, to_set)
  local size = #to_set
  if #namespace.entries > 2 then
    local revision = text_of(namespace.revision)
    local refusal = refusal_by_ledger(batch, namespace, revision)
    if refusal then
      namespace.broken = 'the ledger does not take revision ' .. revision .. ': ' .. refusal
      batch.is_refused = true
    else
      to_set[size + 1], to_set[size + 2] = KEYS[namespace.revision_key], revision
    end
  elseif batch.touches and namespace.is_repeated then
    to_set[size + 1], to_set[size + 2] = KEYS[namespace.revision_key], text_of(namespace.revision)
  end
end

-- Returns the time at which a level is forgotten, nil for never.
local function gone_at_of(batch, kind, value)
  return value and kind.gone_at and kind.gone_at(value, batch.settings)
end

-- Adds the levels that have changed to those for MSET, for DEL, and for the indexes.
local function collect_levels(batch, to_set, to_delete, to_index)
  local levels = batch.levels
  for level = 0, #levels - VALUES_OF_LEVEL, VALUES_OF_LEVEL do
    local namespace = levels[level + LEVEL_CHANGED_IN]
    if namespace and not namespace.broken then
      local kind, before, value = levels[level + LEVEL_KIND], levels[level + LEVEL_BEFORE], levels[level + LEVEL_VALUE]
      if value then
        local size = #to_set
        to_set[size + 1], to_set[size + 2] = levels[level + LEVEL_KEY], levels[level + LEVEL_TEXT]
      else
        to_delete[#to_delete + 1] = levels[level + LEVEL_KEY]
      end
      local stays = before and value and kind ~= reservation
        and not gone_at_of(batch, kind, value) and not gone_at_of(batch, kind, before)
      if (value or before) and not stays then
        to_index[#to_index + 1] = level
      end
    end
  end
end

-- Notes a time at which something is due in a namespace, so that no sweep looks at the namespace before.
local function note_due(namespace, time)
  if not namespace.due_at or time < namespace.due_at then
    namespace.due_at = time
  end
end

-- Returns the time of the namespace at which its generation is old enough.
local function end_of_generation(batch, namespace)
  return namespace.now + batch.bucket_span - namespace.age
end

-- Adds the clock of a namespace to the keys for MSET, if the time that the namespace has reached must be kept.
local function keep_clock(batch, namespace, to_set)
  if namespace.broken then
    return
  end
  local has_records, begins = #namespace.recorded > 0, namespace.emptied
  if has_records and not namespace.age then
    namespace.age, namespace.age_text, begins = 0, '0', true
  end
  if begins and namespace.age then
    note_due(namespace, end_of_generation(batch, namespace))
  end
  if has_records or namespace.emptied or namespace.keeps_time or #namespace.entries > 2 then
    local size = #to_set
    to_set[size + 1] = KEYS[namespace.revision_key + 1]
    to_set[size + 2] = namespace.now_text .. ' ' .. text_of(namespace.generation) .. ' ' .. (namespace.age_text or '-')
  end
end

-- Writes the request records of a namespace.
local function store_records(namespace)
  if namespace.broken then
    return
  end
  local first_bucket = namespace.first_key + FIRST_BUCKET_KEY
  if namespace.emptied then
    redis.call('UNLINK', KEYS[first_bucket + namespace.emptied])
  end
  write('HSET', KEYS[first_bucket + namespace.bucket], namespace.recorded)
  if namespace.moved_from then
    for bucket, ids in pairs(namespace.moved_from) do
      write('HDEL', KEYS[first_bucket + bucket], ids)
    end
  end
end

-- Writes the keys that the namespaces share: their set, the agenda and the number of open reservations. If someone else
-- has written these keys, the changes still stand, and the readers of the keys report it.
local function store_shared(batch, namespace)
  if namespace.broken or not (namespace.is_new or namespace.due_at or namespace.open_change or batch.tidies) then
    return
  end
  local name = string.sub(KEYS[namespace.revision_key], #'tk:{' + 1, namespace.prefix_length - #'}:')
  if namespace.revision > 0 and (namespace.is_new or batch.tidies) then
    redis.pcall('SADD', KEYS[NAMESPACES_KEY], name)
  end
  if batch.tidies then
    sweep.store_due_time(batch, namespace, name)
  elseif namespace.due_at then
    redis.pcall('ZADD', KEYS[AGENDA_KEY], 'LT', text_of(namespace.due_at), name)
  end
  if namespace.open_change then
    redis.pcall('INCRBY', KEYS[OPEN_RESERVATIONS_KEY], text_of(namespace.open_change))
  end
end

-- Replaces the replies of the bundles whose namespace fails.
local function replace_replies(batch, replies)
  local bundles = batch.bundles
  for offset = 1, #bundles, VALUES_OF_BUNDLE do
    local namespace = batch.namespaces[bundles[offset + BUNDLE_NAMESPACE]]
    if namespace.broken then
      replies[(offset - 1) / VALUES_OF_BUNDLE + 2] = failure_of(namespace) -- the first reply is the times
    end
  end
end

-- Writes all changes. A namespace that its ledger has refused stays as it is, and fails alone.
local function store(batch, replies)
  local namespaces = batch.namespaces
  local to_set, to_delete, to_index = { nil, nil, nil, nil, nil, nil }, {}, {}
  for number = 1, #namespaces do
    store_revision(batch, namespaces[number], to_set)
  end
  if batch.tidies then
    sweep.forget(batch, namespaces[1])
  end
  collect_levels(batch, to_set, to_delete, to_index)
  for number = 1, #namespaces do
    keep_clock(batch, namespaces[number], to_set)
  end
  write('DEL', nil, to_delete)
  write('MSET', nil, to_set)
  for number = 1, #namespaces do
    store_records(namespaces[number])
  end
  if #to_index > 0 then
    indexes.update(batch, to_index)
  end
  for number = 1, #namespaces do
    store_shared(batch, namespaces[number])
  end
  if batch.is_refused then
    replace_replies(batch, replies)
  end
end
