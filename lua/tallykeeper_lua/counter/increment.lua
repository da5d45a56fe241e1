-- Adds a signed number to a counter. A counter that does not exist counts as 0, and gets the bounds and the expiry
-- that the arguments after the first give, if they are there.
--
-- keys       counter
-- arguments  delta:        -(2^53-1) .. 2^53-1
--            min:          -(2^53-1) .. 2^53-1, or "-" for none
--            max:          the same
--            ttl:          milliseconds from now, 1 or more, or "-" for never
-- statuses   OK                      the counter after
--            COUNTER_BOUND_EXCEEDED  value (what it has now), min, max (those that are set or would be), delta
--            VALUE_OVERFLOW          value (what it has now), delta
operations.counter_increment = function(levels, arguments, offset, now)
  local before = levels[1]
  if not before then
    before = counter.absent()
    if arguments[offset - 1] > 1 then
      before.min = optional_from(arguments[offset + 1])
      before.max = optional_from(arguments[offset + 2])
      local ttl_ms = optional_from(arguments[offset + 3])
      before.expire_at = ttl_ms and now + ttl_ms
    end
  end
  local delta = integer_from(arguments[offset])
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
