#!lua
-- What every operation and the driver share: the range of numbers, and how a level is read and written.
--
-- A level is a table that is never changed in place: an operation returns a new one. Its stored text is
--   stock    on_hand, or "on_hand reserved safety_stock backorder_limit low_stock_threshold"
--            when one of the last four is not 0
--   counter  value, or "value min max expire_at" when one of the last three is set ("-" where it is not);
--            expire_at in milliseconds since 1970
--
-- An operation is a function of the levels that it names, its arguments and the time. It returns
--   "OK", extras, levels after   extras: values for the reply besides the levels; a level of false is deleted
--   a refusal's status, facts    facts: names and numbers by turns, for the caller
-- and calls nothing in Redis.

local INTEGER_MAX = 9007199254740991 -- 2^53-1: the last integer that doubles, and so JavaScript, keep apart

local operations = {}

-- A number as text. `..` and tostring give 1e+14 for large ones.
local function text_of(number)
  return string.format('%.0f', number)
end

-- The difference of two integers as text. It may need one bit more than a double has. Then the two have
-- different signs, so that their magnitudes add up: the last eight digits apart from those before them.
local function difference_text_of(minuend, subtrahend)
  local difference = minuend - subtrahend
  if difference >= -INTEGER_MAX and difference <= INTEGER_MAX then
    return text_of(difference)
  end
  local unit = 1e8
  local first, second = math.abs(minuend), math.abs(subtrahend)
  local first_low, second_low = math.fmod(first, unit), math.fmod(second, unit)
  local low = first_low + second_low
  local high = (first - first_low) / unit + (second - second_low) / unit
  if low >= unit then
    low = low - unit
    high = high + 1
  end
  return (difference < 0 and '-' or '') .. string.format('%.0f%08.0f', high, low)
end

-- The integer that a text holds. tonumber alone would also take nan, 0x10 and 1e3.
local function integer_of(text)
  local number = string.find(text, '^%-?%d+$') and tonumber(text)
  if not number or number > INTEGER_MAX or number < -INTEGER_MAX then
    error('not an integer within 2^53-1: ' .. text)
  end
  return number
end

-- An optional integer: nil for "-".
local function optional_of(text)
  return text ~= '-' and integer_of(text) or nil
end

local function optional_text_of(number)
  return number and text_of(number) or '-'
end

local stock = {}

function stock.absent()
  return { on_hand = 0, reserved = 0, safety_stock = 0, backorder_limit = 0, low_stock_threshold = 0 }
end

function stock.decode(text)
  if not string.find(text, ' ', 1, true) then
    local level = stock.absent()
    level.on_hand = integer_of(text)
    return level
  end
  local on_hand, reserved, safety_stock, backorder_limit, low_stock_threshold =
    string.match(text, '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  return {
    on_hand = integer_of(on_hand),
    reserved = integer_of(reserved),
    safety_stock = integer_of(safety_stock),
    backorder_limit = integer_of(backorder_limit),
    low_stock_threshold = integer_of(low_stock_threshold),
  }
end

function stock.encode(level)
  if level.reserved == 0 and level.safety_stock == 0 and level.backorder_limit == 0
    and level.low_stock_threshold == 0 then
    return text_of(level.on_hand)
  end
  return string.format('%.0f %.0f %.0f %.0f %.0f', level.on_hand, level.reserved, level.safety_stock,
    level.backorder_limit, level.low_stock_threshold)
end

-- What the ledger counts changes of.
function stock.quantity(level)
  return level.on_hand
end

-- The level with another number of copies on hand.
function stock.with_on_hand(level, on_hand)
  return {
    on_hand = on_hand,
    reserved = level.reserved,
    safety_stock = level.safety_stock,
    backorder_limit = level.backorder_limit,
    low_stock_threshold = level.low_stock_threshold,
  }
end

function stock.available(level)
  return level.on_hand - level.reserved - level.safety_stock
end

local counter = {}

function counter.absent()
  return { value = 0 }
end

function counter.decode(text)
  if not string.find(text, ' ', 1, true) then
    return { value = integer_of(text) }
  end
  local value, min, max, expire_at = string.match(text, '^(%S+) (%S+) (%S+) (%S+)$')
  return {
    value = integer_of(value),
    min = optional_of(min),
    max = optional_of(max),
    expire_at = optional_of(expire_at),
  }
end

function counter.encode(level)
  if not level.min and not level.max and not level.expire_at then
    return text_of(level.value)
  end
  return table.concat({
    text_of(level.value),
    optional_text_of(level.min),
    optional_text_of(level.max),
    optional_text_of(level.expire_at),
  }, ' ')
end

-- What the ledger counts changes of.
function counter.quantity(level)
  return level.value
end

-- The counter with another value.
function counter.with_value(level, value)
  return { value = value, min = level.min, max = level.max, expire_at = level.expire_at }
end

-- The facts of a value outside the counter's bounds, or nil if it is within them.
function counter.bound_exceeded(level, value)
  if (level.min and value < level.min) or (level.max and value > level.max) then
    local facts = { 'value', value }
    if level.min then
      facts[#facts + 1] = 'min'
      facts[#facts + 1] = level.min
    end
    if level.max then
      facts[#facts + 1] = 'max'
      facts[#facts + 1] = level.max
    end
    return facts
  end
  return nil
end
