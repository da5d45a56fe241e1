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
  if before[ON_HAND] ~= 0 or before[RESERVED] ~= 0 then
    return 'STOCK_NOT_EMPTY', { 'on_hand', before[ON_HAND], 'reserved', before[RESERVED] }, nil,
      before[RESERVED] > 0
  end
  return 'OK', nil, { false }
end
