-- Sets a counter. If an expected value is given, the counter must have it. A counter that does not exist counts as 0.
--
-- keys       counter
-- arguments  value:          -(2^53-1) .. 2^53-1
--            expected value: the same, or "-" for any
-- statuses   OK                      the counter after
--            VALUE_CHANGED           actual (what it has now), expected
--            COUNTER_BOUND_EXCEEDED  value (what it was to have), min, max (those that are set)
operations.counter_set = function(levels, arguments, offset)
  local before = levels[1] or counter.absent()
  local value = integer_from(arguments[offset])
  local expected = optional_from(arguments[offset + 1])

  if expected and before.value ~= expected then
    return 'VALUE_CHANGED', { 'actual', before.value, 'expected', expected }
  end
  local exceeded = counter.bound_exceeded(before, value)
  if exceeded then
    return 'COUNTER_BOUND_EXCEEDED', exceeded
  end
  return 'OK', nil, { counter.with_value(before, value) }
end
