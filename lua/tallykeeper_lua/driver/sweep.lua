-- Forgets the expired levels of a namespace, and renews its entry in the agenda.

-- Notes that no bucket must be emptied if no bucket holds a record.
local function notice_empty_buckets(namespace)
  local first_bucket = namespace.first_key + FIRST_BUCKET_KEY
  for bucket = 0, REQUEST_BUCKETS - 1 do
    if bucket ~= namespace.emptied and redis.call('EXISTS', KEYS[first_bucket + bucket]) == 1 then
      return
    end
  end
  namespace.age, namespace.age_text, namespace.keeps_time = nil, nil, true
end

-- Marks the levels whose time is up as changed, so that they are deleted. A level that cannot be read stays.
function sweep.forget(batch, namespace)
  if namespace.broken then
    return
  end
  local levels = batch.levels
  for level = 0, #levels - VALUES_OF_LEVEL, VALUES_OF_LEVEL do
    local is_loaded = pcall(load_level, batch, namespace, level)
    if is_loaded and levels[level + LEVEL_BEFORE] and not levels[level + LEVEL_VALUE] then
      levels[level + LEVEL_CHANGED_IN] = namespace
    end
  end
  notice_empty_buckets(namespace)
end

-- Returns the first score of a sorted set; false if it is empty.
local function first_score_of(key)
  local score = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  return score and score + 0 or false
end

-- Finds the next time at which something is due in a namespace, and puts it into the agenda.
function sweep.store_due_time(batch, namespace, name)
  local first = namespace.first_key
  namespace.due_at = nil
  for _, time in ipairs({
    first_score_of(KEYS[first + DUE_KEY]),
    first_score_of(KEYS[first + EXPIRY_COUNTER_KEY]),
    first_score_of(KEYS[first + EXPIRY_RESERVATION_KEY]),
    namespace.age and end_of_generation(batch, namespace) or false,
  }) do
    if time then
      note_due(namespace, time)
    end
  end
  if namespace.due_at then
    redis.pcall('ZADD', KEYS[AGENDA_KEY], text_of(namespace.due_at), name)
  else
    redis.pcall('ZREM', KEYS[AGENDA_KEY], name)
  end
end
