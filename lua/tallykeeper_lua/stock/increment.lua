-- Adds copies. Creates the level if it does not exist.
--
-- keys       stock level
-- arguments  copies: 1 .. 2^53-1
-- statuses   OK              the level after
--            VALUE_OVERFLOW  on_hand (what there is now), copies
operations.stock_increment = function(levels, arguments, offset)
  local before = levels[1] or stock.absent()
  local copies = integer_from(arguments[offset])
  local on_hand = before[ON_HAND] + copies

  if on_hand > INTEGER_MAX then
    return 'VALUE_OVERFLOW', { 'on_hand', before[ON_HAND], 'copies', copies }
  end
  return 'OK', nil, { stock.with_copies(before, on_hand, before[RESERVED]) }
end
