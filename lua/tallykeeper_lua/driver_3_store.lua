-- Writes what has changed: the ledger, the levels and the request records; the indexes last, which the others do not
-- rest on.

local EXPIRED_NAMES_MAX = 100 -- taken out of an index at once

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
  elseif touches and namespace.repeated then
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
  local index, expiry = namespace.index[kind], namespace.expiry[kind]
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
    collect(index_added, namespace.due, text_of(value.expire_at), id)
  elseif kind == reservation and before and before.state == 'ACTIVE' then
    collect(index_removed, namespace.due, id)
  end
end

local deleted, expiring = {}, {}
for place = 1, level_count do
  local namespace, kind = changed_in[place], level_kinds[place]
  if namespace then
    local before, value = values_before[place], level_values[place]
    local gone_at = gone_at_of(kind, value)
    if gone_at then
      redis.call('SET', KEYS[first_level_key + place - 1], level_texts[place], 'PXAT', text_of(gone_at))
      expiring[namespace.expiry[kind]] = namespace.index[kind]
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
for expiry, index in pairs(expiring) do
  drop_expired(index, expiry)
end
for key, names in pairs(index_removed) do
  in_chunks(names, function(...) redis.call('ZREM', key, ...) end)
end
for key, names in pairs(index_added) do
  in_chunks(names, function(...) redis.call('ZADD', key, ...) end)
end

return replies
