-- Sets a level's safety stock, backorder limit and low-stock threshold. A level that does not exist is created
-- with no copies on hand.
--
-- keys       stock level
-- arguments  safety stock:        0 .. 2^53-1, "=" to leave it
--            backorder limit:     the same
--            low-stock threshold: the same
-- statuses   OK              the level after
--            VALUE_OVERFLOW  on_hand, reserved, safety_stock: available would fall below -(2^53-1)
operations.stock_configure = function(levels, arguments)
  local before = levels[1] or stock.absent()
  local after = stock.with_copies(before, before.on_hand, before.reserved)

  if arguments[1] ~= '=' then
    after.safety_stock = integer_of(arguments[1])
  end
  if arguments[2] ~= '=' then
    after.backorder_limit = integer_of(arguments[2])
  end
  if arguments[3] ~= '=' then
    after.low_stock_threshold = integer_of(arguments[3])
  end

  if stock.available(after) < -INTEGER_MAX then
    return 'VALUE_OVERFLOW',
      { 'on_hand', after.on_hand, 'reserved', after.reserved, 'safety_stock', after.safety_stock }
  end
  return 'OK', {}, { after }
end
