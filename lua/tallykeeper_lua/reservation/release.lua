-- Gives back the reserved copies.
--
-- keys       reservation, then the stock levels that it holds
-- arguments  none
-- statuses   OK                     the reservation
--            RESERVATION_NOT_FOUND
--            those of reservation.ended
--            READ_AGAIN
operations.reservation_release = function(levels, _, _, now, names)
  local before = levels[1]

  if not before then
    return 'RESERVATION_NOT_FOUND', {}
  end
  local ended = reservation.ended(before, now)
  if ended then
    return ended, {}
  end
  local after = reservation.resolve(levels, names, now, 'RELEASED', {})
  if not after then
    return 'READ_AGAIN'
  end
  return 'OK', nil, after
end
