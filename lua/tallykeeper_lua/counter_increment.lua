-- Adds a signed number to a counter. A counter that does not exist counts as 0.
--
-- keys       counter
-- arguments  delta: -(2^53-1) .. 2^53-1
-- statuses   OK                      the counter after
--            COUNTER_BOUND_EXCEEDED  value (what it has now), min, max (those that are set), delta
--            VALUE_OVERFLOW          value (what it has now), delta
operations.counter_increment = function(levels, arguments, at)
  local before = levels[1] or counter.absent()
  local delta = integer_from(arguments[at])
  local sum = before.value + delta

  if sum > INTEGER_MAX or sum < -INTEGER_MAX then
    return 'VALUE_OVERFLOW', { 'value', before.value, 'delta', delta }
  end
  local exceeded = counter.bound_exceeded(before, sum)
  if exceeded then
    exceeded[2] = before.value
    exceeded[#exceeded + 1] = 'delta'
    exceeded[#exceeded + 1] = delta
    return 'COUNTER_BOUND_EXCEEDED', exceeded
  end
  return 'OK', nil, { counter.with_value(before, sum) }
end
