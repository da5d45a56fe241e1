-- Gives an active reservation more time: it ends a ttl from now, or at its old end if that is later.
--
-- keys       reservation
-- arguments  ttl: milliseconds, 1 or more
-- statuses   OK                             the reservation
--            RESERVATION_NOT_FOUND
--            those of reservation.ended
--            RESERVATION_LIFETIME_EXCEEDED  lifetime_ms (what it would be from its beginning), lifetime_ms_max
operations.reservation_extend = function(levels, arguments, offset, now, _, settings)
  local before = levels[1]
  local ttl = integer_from(arguments[offset])

  if not before then
    return 'RESERVATION_NOT_FOUND', {}
  end
  local ended = reservation.ended(before, now)
  if ended then
    return ended, {}
  end
  local expire_at = math.max(before.expire_at, now + ttl)
  local lifetime = expire_at - before.created_at
  if expire_at > before.expire_at and lifetime > settings.reservation_lifetime_max then
    return 'RESERVATION_LIFETIME_EXCEEDED',
      { 'lifetime_ms', lifetime, 'lifetime_ms_max', settings.reservation_lifetime_max }
  end
  local after = {
    state = before.state,
    created_at = before.created_at,
    expire_at = expire_at,
    holder = before.holder,
    lines = before.lines,
  }
  return 'OK', nil, { after }
end
