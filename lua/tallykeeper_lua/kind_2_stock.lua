-- Stock levels. Their stored text is on_hand, or
--   "on_hand reserved safety_stock backorder_limit low_stock_threshold"
-- when one of the last four is not 0.
--
-- The ledger says of a change by how much on_hand changed, or "on_hand,reserved,crossings", the changes of both and
-- what was crossed: L low, O out, B back in stock.

local stock = {}

function stock.absent()
  return { on_hand = 0, reserved = 0, safety_stock = 0, backorder_limit = 0, low_stock_threshold = 0 }
end

function stock.decode(text)
  if not string.find(text, ' ', 1, true) then
    return {
      on_hand = integer_of(text), reserved = 0, safety_stock = 0, backorder_limit = 0, low_stock_threshold = 0,
    }
  end
  local on_hand, reserved, safety_stock, backorder_limit, low_stock_threshold =
    string.match(text, '^(%-?%d+) (%-?%d+) (%d+) (%d+) (%d+)$')
  if not on_hand then
    error('not a stock level: ' .. text)
  end
  return {
    on_hand = in_range(on_hand),
    reserved = in_range(reserved),
    safety_stock = in_range(safety_stock),
    backorder_limit = in_range(backorder_limit),
    low_stock_threshold = in_range(low_stock_threshold),
  }
end

function stock.encode(level)
  if level.safety_stock == 0 and level.backorder_limit == 0 and level.low_stock_threshold == 0 then
    if level.reserved == 0 then
      return text_of(level.on_hand)
    end
    return string.format('%.0f %.0f 0 0 0', level.on_hand, level.reserved)
  end
  return string.format('%.0f %.0f %.0f %.0f %.0f', level.on_hand, level.reserved, level.safety_stock,
    level.backorder_limit, level.low_stock_threshold)
end

function stock.available(level)
  return level.on_hand - level.reserved - level.safety_stock
end

local function crossings_of(before, after)
  local available_before, available = stock.available(before), stock.available(after)
  local low_before = before.low_stock_threshold > 0 and available_before <= before.low_stock_threshold
  local low = after.low_stock_threshold > 0 and available <= after.low_stock_threshold
  if not low and available_before > 0 and available > 0 then
    return ''
  end
  return (low and not low_before and 'L' or '')
    .. (available <= 0 and available_before > 0 and 'O' or '')
    .. (available > 0 and available_before <= 0 and 'B' or '')
end

function stock.changes(before, after)
  local on_hand = difference_text_of(after and after.on_hand or 0, before and before.on_hand or 0)
  local reserved = (after and after.reserved or 0) - (before and before.reserved or 0)
  local crossings = before and after and crossings_of(before, after) or ''
  if reserved == 0 and crossings == '' then
    return on_hand
  end
  return on_hand .. ',' .. text_of(reserved) .. ',' .. crossings
end

function stock.gone_at()
  return nil
end

-- Items before locations, so that all locations of an item are together.
function stock.listed(id)
  local location, item = string.match(id, '^([^:]*):(.*)$')
  return item .. '\0' .. location
end

-- The level with other numbers of copies.
function stock.with_copies(level, on_hand, reserved)
  return {
    on_hand = on_hand,
    reserved = reserved,
    safety_stock = level.safety_stock,
    backorder_limit = level.backorder_limit,
    low_stock_threshold = level.low_stock_threshold,
  }
end

-- The facts of a level from which fewer copies may be taken than are asked for.
function stock.short_facts(level, copies)
  return { 'requested', copies, 'available', stock.available(level), 'backorder_limit', level.backorder_limit }
end
