-- Takes the copies that are asked for or none, or, with `take available`, at most the copies that may be taken.
--
-- Up to available + backorder_limit copies may be taken.
--
-- keys       stock level
-- arguments  copies:         1 .. 2^53-1
--            take available: 1 to take fewer when there are fewer, 0 to refuse then
-- statuses   OK                  copies taken; the level after
--            ITEM_NOT_FOUND
--            INSUFFICIENT_STOCK  requested, available, backorder_limit
operations.stock_decrement = function(levels, arguments, offset)
  local before = levels[1]
  local copies = integer_from(arguments[offset])
  local take_available = arguments[offset + 1] == 1

  if not before then
    return 'ITEM_NOT_FOUND', {}
  end
  local available = stock.available(before)
  local held = false
  if copies > available + before[BACKORDER_LIMIT] then
    held = before[RESERVED] > 0
    if not take_available then
      return 'INSUFFICIENT_STOCK', stock.short_facts(before, copies), nil, held
    end
    copies = math.max(0, available + before[BACKORDER_LIMIT])
  end
  return 'OK', copies, { stock.with_copies(before, before[ON_HAND] - copies, before[RESERVED]) }, held
end
