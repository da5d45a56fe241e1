-- Deletes a level that has no copies on hand and none reserved.
--
-- keys       stock level
-- arguments  none
-- statuses   OK               the level before
--            ITEM_NOT_FOUND
--            STOCK_NOT_EMPTY  on_hand, reserved
operations.stock_delete = function(levels)
  local before = levels[1]

  if not before then
    return 'ITEM_NOT_FOUND', {}
  end
  if before.on_hand ~= 0 or before.reserved ~= 0 then
    return 'STOCK_NOT_EMPTY', { 'on_hand', before.on_hand, 'reserved', before.reserved }, nil,
      before.reserved > 0
  end
  return 'OK', {}, { false }
end
