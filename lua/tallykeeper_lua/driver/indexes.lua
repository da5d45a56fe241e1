-- Updates the sorted sets: the levels of each kind, and the times at which they end.

-- Appends values to the values of a key.
local function collect(into, key, ...)
  local values = into[key] or {}
  into[key] = values
  for number = 1, select('#', ...) do
    values[#values + 1] = (select(number, ...))
  end
end

-- Returns the key of the index of a kind, and the key of the times at which its levels are forgotten; nil for stock.
local function keys_of(namespace, kind)
  local first = namespace.first_key
  if kind == stock then
    return KEYS[first + INDEX_STOCK_KEY], nil
  elseif kind == counter then
    return KEYS[first + INDEX_COUNTER_KEY], KEYS[first + EXPIRY_COUNTER_KEY]
  end
  return KEYS[first + INDEX_RESERVATION_KEY], KEYS[first + EXPIRY_RESERVATION_KEY]
end

-- Updates the times at which the active reservations end, and the number of active reservations.
local function index_end(namespace, id, before, value, added, removed)
  local key = KEYS[namespace.first_key + DUE_KEY]
  local was_open, is_open = before and before.state == 'ACTIVE', value and value.state == 'ACTIVE'
  if is_open then
    collect(added, key, text_of(value.expire_at), id)
    note_due(namespace, value.expire_at)
  elseif was_open then
    collect(removed, key, id)
  end
  namespace.open_change = (namespace.open_change or 0) + (is_open and 1 or 0) - (was_open and 1 or 0)
end

-- Notes the changes of the sorted sets because of a level: scores and members in `added`, members in `removed`.
local function index_level(batch, level, added, removed)
  local levels = batch.levels
  local namespace, kind, name = levels[level + LEVEL_CHANGED_IN], levels[level + LEVEL_KIND], levels[level + LEVEL_NAME]
  local before, value = levels[level + LEVEL_BEFORE], levels[level + LEVEL_VALUE]
  local id = string.sub(name, string.find(name, ':', 1, true) + 1)
  local index, expiry = keys_of(namespace, kind)
  local listed_before = before and kind.listed(id, before)
  local listed = value and kind.listed(id, value)
  if listed_before and listed_before ~= listed then
    collect(removed, index, listed_before)
  end
  if listed and listed_before ~= listed then
    collect(added, index, '0', listed)
  end
  local gone_at = gone_at_of(batch, kind, value)
  if gone_at then
    collect(added, expiry, text_of(gone_at), listed)
    note_due(namespace, gone_at)
  elseif expiry and (not before or gone_at_of(batch, kind, before)) then
    collect(removed, expiry, listed or listed_before)
  end
  if kind == reservation then
    index_end(namespace, id, before, value, added, removed)
  end
end

-- Updates the sorted sets for levels that were created or deleted, or that the index lists in another way now.
function indexes.update(batch, changed)
  local added, removed = {}, {}
  for _, level in ipairs(changed) do
    index_level(batch, level, added, removed)
  end
  for key, names in pairs(removed) do
    write('ZREM', key, names)
  end
  for key, names in pairs(added) do
    write('ZADD', key, names)
  end
end
