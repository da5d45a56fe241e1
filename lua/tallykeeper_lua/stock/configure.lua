-- Sets a level's safety stock, backorder limit and low-stock threshold. A level that does not exist is created
-- with no copies on hand.
--
-- keys       stock level
-- arguments  safety stock:        0 .. 2^53-1, "=" to leave it
--            backorder limit:     the same
--            low-stock threshold: the same
-- statuses   OK              the level after
--            VALUE_OVERFLOW  on_hand, reserved, safety_stock: available would fall below -(2^53-1)
operations.stock_configure = function(levels, arguments, offset)
  local before = levels[1] or stock.absent()
  local after = stock.with_copies(before, before[ON_HAND], before[RESERVED])

  if arguments[offset] ~= '=' then
    after[SAFETY_STOCK] = integer_from(arguments[offset])
  end
  if arguments[offset + 1] ~= '=' then
    after[BACKORDER_LIMIT] = integer_from(arguments[offset + 1])
  end
  if arguments[offset + 2] ~= '=' then
    after[LOW_STOCK_THRESHOLD] = integer_from(arguments[offset + 2])
  end

  if stock.available(after) < -INTEGER_MAX then
    return 'VALUE_OVERFLOW',
      { 'on_hand', after[ON_HAND], 'reserved', after[RESERVED], 'safety_stock', after[SAFETY_STOCK] }
  end
  return 'OK', nil, { after }
end
