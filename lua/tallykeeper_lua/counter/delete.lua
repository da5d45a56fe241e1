-- Deletes a counter with its bounds.
--
-- keys       counter
-- arguments  none
-- statuses   OK                 the counter before
--            COUNTER_NOT_FOUND
operations.counter_delete = function(levels)
  if not levels[1] then
    return 'COUNTER_NOT_FOUND', {}
  end
  return 'OK', nil, { false }
end
