-- Stock levels. Their stored text is on_hand, or
--   "on_hand reserved safety_stock backorder_limit low_stock_threshold"
-- when one of the last four is not 0.
--
-- The change in the ledger is the difference of on_hand, or "on_hand,reserved,crossings": the differences of both, and
-- the borders that were crossed: L low, O out, B back in stock.
--
-- A level is an array, which takes half of the time and a quarter of the memory that a table with named fields does.

function stock.absent()
  return { 0, 0, 0, 0, 0 }
end

function stock.decode(text)
  if string.find(text, '^%-?%d+$') then
    return { in_range(text), 0, 0, 0, 0 }
  end
  local on_hand_alone, reserved_alone = string.match(text, '^(%-?%d+) (%-?%d+) 0 0 0$')
  if on_hand_alone then
    return { in_range(on_hand_alone), in_range(reserved_alone), 0, 0, 0 }
  end
  local on_hand, reserved, safety_stock, backorder_limit, low_stock_threshold =
    string.match(text, '^(%-?%d+) (%-?%d+) (%d+) (%d+) (%d+)$')
  if not on_hand then
    error('not a stock level: ' .. text)
  end
  return {
    in_range(on_hand),
    in_range(reserved),
    in_range(safety_stock),
    in_range(backorder_limit),
    in_range(low_stock_threshold),
  }
end

function stock.encode(level)
  if level[SAFETY_STOCK] == 0 and level[BACKORDER_LIMIT] == 0 and level[LOW_STOCK_THRESHOLD] == 0 then
    if level[RESERVED] == 0 then
      return text_of(level[ON_HAND])
    end
    return string.format('%d %d 0 0 0', level[ON_HAND], level[RESERVED])
  end
  return string.format('%d %d %d %d %d', unpack(level))
end

function stock.available(level)
  return level[ON_HAND] - level[RESERVED] - level[SAFETY_STOCK]
end

local function crossings_of(before, after)
  local available_before, available = stock.available(before), stock.available(after)
  local low_before = before[LOW_STOCK_THRESHOLD] > 0 and available_before <= before[LOW_STOCK_THRESHOLD]
  local low = after[LOW_STOCK_THRESHOLD] > 0 and available <= after[LOW_STOCK_THRESHOLD]
  if not low and available_before > 0 and available > 0 then
    return ''
  end
  return (low and not low_before and 'L' or '')
    .. (available <= 0 and available_before > 0 and 'O' or '')
    .. (available > 0 and available_before <= 0 and 'B' or '')
end

function stock.changes(before, after)
  local on_hand = difference_text_of(after and after[ON_HAND] or 0, before and before[ON_HAND] or 0)
  local reserved = (after and after[RESERVED] or 0) - (before and before[RESERVED] or 0)
  local crossings = before and after and crossings_of(before, after) or ''
  if reserved == 0 and crossings == '' then
    return on_hand
  end
  return on_hand .. ',' .. text_of(reserved) .. ',' .. crossings
end

-- Returns the name in the index: the item before the location, so that all locations of an item are together.
function stock.listed(id)
  local location, item = string.match(id, '^([^:]*):(.*)$')
  return item .. '\0' .. location
end

-- Returns the level with other numbers of copies.
function stock.with_copies(level, on_hand, reserved)
  return { on_hand, reserved, level[SAFETY_STOCK], level[BACKORDER_LIMIT], level[LOW_STOCK_THRESHOLD] }
end

-- Returns the facts of a level from which fewer copies may be taken than are asked for.
function stock.short_facts(level, copies)
  return { 'requested', copies, 'available', stock.available(level), 'backorder_limit', level[BACKORDER_LIMIT] }
end
