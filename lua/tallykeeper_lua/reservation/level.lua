-- Reservations. Their stored text is
--   "state created_at expire_at resolved_at holder"
-- with times in milliseconds since 1970 and "-" for one that is not resolved, and then for each line a tab, the name
-- of its level, a tab, the copies, a tab and the copies committed. Of the lines, only the copies committed
-- ever change. The ledger has the text without the lines, which are levels of the same entry.
--
-- In memory the lines are one array. Each line has three values there: the name of its level, the copies, and the
-- copies committed. The constants are their offsets from the first value of the line.

local LINE_NAME, LINE_COPIES, LINE_COMMITTED, VALUES_OF_LINE = 0, 1, 2, 3

-- The digit of each state in the index, in the order in which the states are listed.
local LISTED_STATES = { ACTIVE = '1', EXPIRED = '2', COMMITTED = '3', RELEASED = '4' }

function reservation.decode(text)
  local state, created_at, expire_at, resolved_at, holder =
    string.match(text, '^(%S+) (%S+) (%S+) (%S+) ([^\t]*)')
  local lines, size = {}, 0
  for name, copies, committed in string.gmatch(text, '\t([^\t]*)\t([^\t]*)\t([^\t]*)') do
    lines[size + 1], lines[size + 2], lines[size + 3] = name, integer_of(copies), integer_of(committed)
    size = size + VALUES_OF_LINE
  end
  return {
    state = state,
    created_at = integer_of(created_at),
    expire_at = integer_of(expire_at),
    resolved_at = optional_of(resolved_at),
    holder = holder,
    lines = lines,
  }
end

function reservation.entry_text(level)
  return table.concat({
    level.state,
    text_of(level.created_at),
    text_of(level.expire_at),
    optional_text_of(level.resolved_at),
    level.holder,
  }, ' ')
end

function reservation.encode(level)
  local lines, parts = level.lines, { reservation.entry_text(level) }
  for line = 1, #lines, VALUES_OF_LINE do
    parts[line + 1], parts[line + 2], parts[line + 3] =
      lines[line + LINE_NAME], text_of(lines[line + LINE_COPIES]), text_of(lines[line + LINE_COMMITTED])
  end
  return table.concat(parts, '\t')
end

function reservation.changes()
  return '0'
end

function reservation.gone_at(level, settings)
  return level.resolved_at and level.resolved_at + settings.reservation_retention
end

function reservation.listed(id, level)
  return LISTED_STATES[level.state] .. '\0' .. id
end

-- Returns the status of a refusal because the reservation is not active any more, RESERVATION_COMMITTED,
-- RESERVATION_RELEASED or RESERVATION_EXPIRED; nil if it is active.
function reservation.ended(level, now)
  if level.state ~= 'ACTIVE' then
    return 'RESERVATION_' .. level.state
  end
  return level.expire_at <= now and 'RESERVATION_EXPIRED' or nil
end

-- Returns the levels after a reservation has ended. It becomes `state`. `taken` has the copies that are taken, by the
-- names of the levels; the other copies are given back. Returns nil if the level of a line is not among the levels of
-- the mutation.
function reservation.resolve(levels, names, now, state, taken)
  local before, index_of, lines = levels[1], {}, {}
  for index, name in ipairs(names) do
    index_of[name] = index
  end
  local after, order, number = {}, { 1 }, 1
  for line = 1, #before.lines, VALUES_OF_LINE do
    local name, copies = before.lines[line + LINE_NAME], before.lines[line + LINE_COPIES]
    local index = index_of[name]
    local level = index and levels[index]
    if not level then
      return nil
    end
    local committed = taken[name] or 0
    after[index] = stock.with_copies(level, level[ON_HAND] - committed, level[RESERVED] - copies)
    number = number + 1
    order[number] = index
    lines[line + LINE_NAME], lines[line + LINE_COPIES], lines[line + LINE_COMMITTED] = name, copies, committed
  end
  after.order = order
  after[1] = {
    state = state,
    created_at = before.created_at,
    expire_at = before.expire_at,
    resolved_at = now,
    holder = before.holder,
    lines = lines,
  }
  return after
end
