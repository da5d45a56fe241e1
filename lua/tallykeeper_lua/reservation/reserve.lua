-- Holds copies of all lines or of none. Up to available + backorder_limit copies of each level may be held.
--
-- keys       reservation, then the stock levels of its lines, each once
-- arguments  ttl:    milliseconds, 1 or more
--            holder: empty for none
--            copies: 1 .. 2^53-1, for each line
-- statuses   OK                  the reservation
--            RESERVATION_EXISTS
--            INSUFFICIENT_STOCK  for each line that is short: line, requested, available, backorder_limit
--            VALUE_OVERFLOW      line, reserved (what is reserved now), copies
operations.reservation_reserve = function(levels, arguments, offset, now, names)
  local ttl = integer_from(arguments[offset])
  local holder = arguments[offset + 1]

  if levels[1] then
    return 'RESERVATION_EXISTS', {}
  end
  local after, lines, short, held, overflow = {}, {}, {}, false, nil
  for index = 2, #names do
    local level = levels[index] or stock.absent()
    local copies = integer_from(arguments[offset + index])
    if copies > stock.available(level) + level[BACKORDER_LIMIT] then
      held = held or level[RESERVED] > 0
      short[#short + 1] = 'line'
      short[#short + 1] = index
      for _, fact in ipairs(stock.short_facts(level, copies)) do
        short[#short + 1] = fact
      end
    elseif level[RESERVED] + copies > INTEGER_MAX then
      overflow = overflow or { 'line', index, 'reserved', level[RESERVED], 'copies', copies }
    end
    after[index] = stock.with_copies(level, level[ON_HAND], level[RESERVED] + copies)
    local line = (index - 2) * VALUES_OF_LINE + 1
    lines[line + LINE_NAME], lines[line + LINE_COPIES], lines[line + LINE_COMMITTED] = names[index], copies, 0
  end
  if #short > 0 then
    return 'INSUFFICIENT_STOCK', short, nil, held
  end
  if overflow then
    return 'VALUE_OVERFLOW', overflow
  end
  after[1] = { state = 'ACTIVE', created_at = now, expire_at = now + ttl, holder = holder, lines = lines }
  return 'OK', nil, after
end
