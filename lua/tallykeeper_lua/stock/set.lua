-- Sets the copies on hand. If an expected count is given, the level must have it. A level that does not exist counts
-- as 0. The count is below 0 if copies were taken on backorder.
--
-- keys       stock level
-- arguments  on hand:          -(2^53-1) .. 2^53-1
--            expected on hand: the same, or "-" for any
--            below reserved:   1 to set fewer than are reserved, too; 0, or not there, to refuse that
-- statuses   OK                    the level after
--            VALUE_CHANGED         actual (what there is now), expected
--            STOCK_BELOW_RESERVED  on_hand (what it was to be), reserved, backorder_limit: less than is reserved
--            VALUE_OVERFLOW        on_hand, reserved, safety_stock: available would fall below -(2^53-1)
operations.stock_set = function(levels, arguments, offset)
  local before = levels[1] or stock.absent()
  local on_hand = integer_from(arguments[offset])
  local expected = optional_from(arguments[offset + 1])

  if expected and before[ON_HAND] ~= expected then
    return 'VALUE_CHANGED', { 'actual', before[ON_HAND], 'expected', expected }
  end
  local below_reserved = arguments[offset - 1] > 2 and arguments[offset + 2] == 1
  if on_hand + before[BACKORDER_LIMIT] < before[RESERVED] and not below_reserved then
    return 'STOCK_BELOW_RESERVED',
      { 'on_hand', on_hand, 'reserved', before[RESERVED], 'backorder_limit', before[BACKORDER_LIMIT] }, nil, true
  end
  local after = stock.with_copies(before, on_hand, before[RESERVED])
  if stock.available(after) < -INTEGER_MAX then
    return 'VALUE_OVERFLOW', { 'on_hand', on_hand, 'reserved', after[RESERVED], 'safety_stock', after[SAFETY_STOCK] }
  end
  return 'OK', nil, { after }
end
