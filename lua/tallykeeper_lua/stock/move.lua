-- Moves copies from one level to another, which is created if it does not exist. Copies on backorder cannot be moved.
--
-- keys       stock level to take from, stock level to bring to: another one
-- arguments  copies: 1 .. 2^53-1
-- statuses   OK                  both levels after
--            ITEM_NOT_FOUND      line
--            INSUFFICIENT_STOCK  line, requested, available, backorder_limit (0)
--            VALUE_OVERFLOW      line, on_hand (what there is now), copies
operations.stock_move = function(levels, arguments, offset)
  local from = levels[1]
  local to = levels[2] or stock.absent()
  local copies = integer_from(arguments[offset])

  if not from then
    return 'ITEM_NOT_FOUND', { 'line', 1 }
  end
  local available = stock.available(from)
  if copies > available then
    local facts = { 'line', 1, 'requested', copies, 'available', available, 'backorder_limit', 0 }
    return 'INSUFFICIENT_STOCK', facts, nil, from[RESERVED] > 0
  end
  if to[ON_HAND] + copies > INTEGER_MAX then
    return 'VALUE_OVERFLOW', { 'line', 2, 'on_hand', to[ON_HAND], 'copies', copies }
  end
  return 'OK', nil, {
    stock.with_copies(from, from[ON_HAND] - copies, from[RESERVED]),
    stock.with_copies(to, to[ON_HAND] + copies, to[RESERVED]),
  }
end
