-- Gives back the copies of a reservation whose time is up. The server calls it, from several processes at once: only
-- the first one changes something.
--
-- keys       reservation, then the stock levels that it holds
-- arguments  none
-- statuses   OK       the reservation
--            NOT_DUE  it does not exist, is not active, or has time left
--            READ_AGAIN
operations.reservation_expire = function(levels, _, _, now, names)
  local before = levels[1]

  if not before or before.state ~= 'ACTIVE' or before.expire_at > now then
    return 'NOT_DUE', {}
  end
  local after = reservation.resolve(levels, names, now, 'EXPIRED', {})
  if not after then
    return 'READ_AGAIN'
  end
  return 'OK', nil, after
end
