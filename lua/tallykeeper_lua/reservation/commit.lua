-- Takes the reserved copies, all of them or some copies of some lines. The other copies are given back.
--
-- keys       reservation, then the stock levels to take from, each once, then those that it holds
-- arguments  copies: 1 .. 2^53-1, for each level to take from; none to take everything
-- statuses   OK                       the reservation
--            RESERVATION_NOT_FOUND
--            those of reservation.ended
--            COMMIT_EXCEEDS_RESERVED  for each line that does: line, requested, reserved
--            READ_AGAIN
operations.reservation_commit = function(levels, arguments, offset, now, names)
  local before = levels[1]

  if not before then
    return 'RESERVATION_NOT_FOUND', {}
  end
  local ended = reservation.ended(before, now)
  if ended then
    return ended, {}
  end
  local held, taken, exceeding = {}, {}, {}
  for line = 1, #before.lines, VALUES_OF_LINE do
    held[before.lines[line + LINE_NAME]] = before.lines[line + LINE_COPIES]
  end
  local count = arguments[offset - 1]
  for number = 1, count do
    local name, copies = names[number + 1], integer_from(arguments[offset + number - 1])
    taken[name] = copies
    if copies > (held[name] or 0) then
      for _, fact in ipairs({ 'line', number + 1, 'requested', copies, 'reserved', held[name] or 0 }) do
        exceeding[#exceeding + 1] = fact
      end
    end
  end
  if #exceeding > 0 then
    return 'COMMIT_EXCEEDS_RESERVED', exceeding
  end
  local after = reservation.resolve(levels, names, now, 'COMMITTED', count > 0 and taken or held)
  if not after then
    return 'READ_AGAIN'
  end
  return 'OK', nil, after
end
