-- Adds copies. Creates the level if it does not exist.
--
-- keys       stock level
-- arguments  copies: 1 .. 2^53-1
-- statuses   OK              the level after
--            VALUE_OVERFLOW  on_hand (what there is now), copies
operations.stock_increment = function(levels, arguments)
  local before = levels[1] or stock.absent()
  local copies = integer_of(arguments[1])
  local on_hand = before.on_hand + copies

  if on_hand > INTEGER_MAX then
    return 'VALUE_OVERFLOW', { 'on_hand', before.on_hand, 'copies', copies }
  end
  return 'OK', {}, { stock.with_copies(before, on_hand, before.reserved) }
end
