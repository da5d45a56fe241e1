-- Sets or clears a counter's bounds and its expiry. A counter that does not exist is created with the value 0.
--
-- keys       counter
-- arguments  min:          -(2^53-1) .. 2^53-1, "-" to clear it, "=" to leave it
--            max:          the same
--            ttl:          milliseconds from now, 1 or more, "-" to clear it, "=" to leave it
-- statuses   OK                      the counter after
--            COUNTER_BOUND_EXCEEDED  value (what it has now), min, max (the new ones that are set)
operations.counter_configure = function(levels, arguments, offset, now)
  local before = levels[1] or counter.absent()
  local after = counter.with_value(before, before.value)

  if arguments[offset] ~= '=' then
    after.min = optional_from(arguments[offset])
  end
  if arguments[offset + 1] ~= '=' then
    after.max = optional_from(arguments[offset + 1])
  end
  if arguments[offset + 2] ~= '=' then
    local ttl_ms = optional_from(arguments[offset + 2])
    after.expire_at = ttl_ms and now + ttl_ms
  end

  local exceeded = counter.bound_exceeded(after, after.value)
  if exceeded then
    return 'COUNTER_BOUND_EXCEEDED', exceeded
  end
  return 'OK', nil, { after }
end
