-- Counters. Their stored text is the value, or
--   "value min max expire_at"
-- when one of the last three is set ("-" where it is not); expire_at in milliseconds since 1970.
--
-- The change in the ledger is the difference of the values.

function counter.absent()
  return { value = 0 }
end

function counter.decode(text)
  if not string.find(text, ' ', 1, true) then
    return { value = integer_of(text) }
  end
  local value, min, max, expire_at = string.match(text, '^(%S+) (%S+) (%S+) (%S+)$')
  return {
    value = integer_of(value),
    min = optional_of(min),
    max = optional_of(max),
    expire_at = optional_of(expire_at),
  }
end

function counter.encode(level)
  if not level.min and not level.max and not level.expire_at then
    return text_of(level.value)
  end
  return table.concat({
    text_of(level.value),
    optional_text_of(level.min),
    optional_text_of(level.max),
    optional_text_of(level.expire_at),
  }, ' ')
end

function counter.changes(before, after)
  return difference_text_of(after and after.value or 0, before and before.value or 0)
end

function counter.gone_at(level)
  return level.expire_at
end

function counter.listed(id)
  return id
end

-- Returns the counter with another value.
function counter.with_value(level, value)
  return { value = value, min = level.min, max = level.max, expire_at = level.expire_at }
end

-- Returns the facts of a value outside the counter's bounds, or nil if it is within them.
function counter.bound_exceeded(level, value)
  if (level.min and value < level.min) or (level.max and value > level.max) then
    local facts = { 'value', value }
    if level.min then
      facts[#facts + 1] = 'min'
      facts[#facts + 1] = level.min
    end
    if level.max then
      facts[#facts + 1] = 'max'
      facts[#facts + 1] = level.max
    end
    return facts
  end
  return nil
end
