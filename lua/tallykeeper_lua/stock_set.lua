-- Sets the copies on hand, if there are as many as expected where that is given. A level that does not exist
-- counts as 0.
--
-- keys       stock level
-- arguments  on hand:          0 .. 2^53-1
--            expected on hand: -(2^53-1) .. 2^53-1, or "-" for any
-- statuses   OK             the level after
--            VALUE_CHANGED  actual (what there is now), expected
operations.stock_set = function(levels, arguments)
  local before = levels[1] or stock.absent()
  local on_hand = integer_of(arguments[1])
  local expected = optional_of(arguments[2])

  if expected and before.on_hand ~= expected then
    return 'VALUE_CHANGED', { 'actual', before.on_hand, 'expected', expected }
  end
  return 'OK', {}, { stock.with_on_hand(before, on_hand) }
end
