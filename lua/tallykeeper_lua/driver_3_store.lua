-- Writes what has changed: the ledger first, then the levels and the request records; the indexes last, which the
-- others do not rest on.

local EXPIRED_NAMES_MAX = 100 -- taken out of an index at once

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

-- Names that Redis has forgotten leave the index when others come to be forgotten, so that it cannot grow
-- without bound.
local function drop_expired(index, expiry)
  local expired = redis.call('ZRANGE', expiry, '-inf', '(' .. now_text, 'BYSCORE', 'LIMIT', 0, EXPIRED_NAMES_MAX)
  if #expired > 0 then
    redis.call('ZREM', index, unpack(expired))
    redis.call('ZREM', expiry, unpack(expired))
  end
end

-- When Redis is to forget a level, nil for never.
local function gone_at_of(kind, level)
  return level and kind.gone_at and kind.gone_at(level)
end

-- Keeps the indexes of a level's kind: where it is listed, and when it leaves the list by itself.
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
  elseif expiry and (not before or gone_at_of(kind, before)) then
    collect(index_removed, expiry, listed or listed_before)
  end
  if kind == reservation and value.state == 'ACTIVE' then
    collect(index_added, due_of(namespace), text_of(value.expire_at), id)
  elseif kind == reservation and before and before.state == 'ACTIVE' then
    collect(index_removed, due_of(namespace), id)
  end
end

local deleted, expiring = {}, {}
for place = 1, level_count do
  local namespace, kind = changed_in[place], level_kinds[place]
  if namespace and not namespace.broken then
    local before, value = values_before[place], level_values[place]
    local gone_at = gone_at_of(kind, value)
    if gone_at then
      redis.call('SET', KEYS[first_level_key + place - 1], level_texts[place], 'PXAT', text_of(gone_at))
      expiring[expiry_of(namespace, kind)] = index_of(namespace, kind)
    elseif value then
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

write_keys('DEL', deleted)
write_keys('MSET', levels_set)
for _, namespace in ipairs(namespaces) do
  if #namespace.recorded > 0 and not namespace.broken then
    local bucket = request_bucket_of(namespace, current_bucket)
    write('HSET', bucket, namespace.recorded)
    local expire_at = (current_bucket + buckets_looked_in) * bucket_span
    redis.call('PEXPIREAT', bucket, text_of(expire_at), 'NX')
  end
end
for expiry, index in pairs(expiring) do
  drop_expired(index, expiry)
end
for key, names in pairs(index_removed) do
  write('ZREM', key, names)
end
for key, names in pairs(index_added) do
  write('ZADD', key, names)
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
