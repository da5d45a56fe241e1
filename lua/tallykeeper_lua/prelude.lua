#!lua
-- Functions that all files of the script share: numbers to texts, texts to numbers, and the parts defined on use.
--
-- A level is a table that is never changed in place: an operation returns a new one. Each kind of level has a folder:
-- stock, counter and reservation. A kind is a table of functions
--   absent()                 the level for a name that has none (stock and counter)
--   decode(text)             the level that a stored text holds
--   encode(level)            its stored text
--   entry_text(level)        its text in the ledger, if that is not its stored text
--   changes(before, after)   the text of a change in the ledger; before or after may be nil
--   gone_at(level, settings) the time at which it is forgotten, in milliseconds since 1970; nil for never. Stock has
--                            no such function.
--   listed(id, level)        its member in the index of its kind
--
-- An operation is a function of
--   levels     the levels that the mutation names, by local index; false where there is none
--   arguments  a list that has the arguments of the operation from the index `offset` on, and before them their number
--   offset
--   now        the namespace's time, in milliseconds since 1970
--   names      the names of the levels, by local index; empty if there is one level only
--   settings   reservation_lifetime_max and reservation_retention, in milliseconds
-- It returns
--   "OK", extra, levels after, held        extra: a number for the reply beside the levels, or nil; a level of false
--                                          is deleted; where "order" is set, only the levels with those local indexes
--                                          change
--   a refusal's status, facts, nil, held   facts: a name and a number alternately, for the caller; 'line' begins the
--                                          facts of one of several levels, and is its local index
--   "READ_AGAIN"                           a level that its reservation holds is not among its levels
-- and calls nothing in Redis. held is true if more would have been possible with fewer copies reserved.

local INTEGER_MAX = 9007199254740991 -- 2^53-1: the last integer that doubles, and so JavaScript, keep apart

local ON_HAND, RESERVED, SAFETY_STOCK, BACKORDER_LIMIT, LOW_STOCK_THRESHOLD = 1, 2, 3, 4, 5 -- in a level of stock

local operations = {}

-- Redis runs the whole script for each call, and to define a function costs as much as to run a short one. Therefore a
-- part that not every call needs is defined on use: each kind of level with its operations, and some of the driver.
local define -- the function that defines a part; the files of all parts make it up
local defined_on_use = {
  __index = function(part, field)
    setmetatable(part, nil)
    define(part)
    return part[field]
  end,
}
local counter = setmetatable({}, defined_on_use)
local reservation = setmetatable({}, defined_on_use)
local stock = setmetatable({}, defined_on_use)
local indexes = setmetatable({}, defined_on_use)
local several = setmetatable({}, defined_on_use)
local sweep = setmetatable({}, defined_on_use)

local SMALL = 100
local small_texts = { [-1] = '-1', [0] = '0', '1' } -- the texts of integers nearer to 0 than SMALL, which come often

-- Returns an integer as text. `..` and tostring give 1e+14 for large ones, and %.0f takes twice as long.
local function text_of(integer)
  local text = small_texts[integer]
  if not text then
    text = string.format('%d', integer)
    if integer < SMALL and integer > -SMALL then
      small_texts[integer] = text
    end
  end
  return text
end

-- Returns the difference of two integers as text. It may need one bit more than a double has. Then the two have
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
  return (difference < 0 and '-' or '') .. string.format('%d%08d', high, low)
end

local function out_of_range(what)
  error('not an integer within 2^53-1: ' .. tostring(what))
end

-- Returns the number of a text that is an integer in decimal digits. tonumber takes twice as long as the addition.
local function in_range(text)
  local number = text + 0
  if number > INTEGER_MAX or number < -INTEGER_MAX then
    out_of_range(text)
  end
  return number
end

-- Returns the integer that a text holds. tonumber alone would also take nan, 0x10 and 1e3.
local function integer_of(text)
  if not string.find(text, '^%-?%d+$') then
    out_of_range(text)
  end
  return in_range(text)
end

-- Returns an argument that must be an integer.
local function integer_from(argument)
  if type(argument) ~= 'number' or argument % 1 ~= 0 or argument > INTEGER_MAX or argument < -INTEGER_MAX then
    out_of_range(argument)
  end
  return argument
end

-- Returns an argument that is an integer; nil if it is "-", for none.
local function optional_from(argument)
  return argument ~= '-' and integer_from(argument) or nil
end

-- Returns the number of a text that is an integer; nil if it is "-", for none.
local function optional_of(text)
  return text ~= '-' and integer_of(text) or nil
end

local function optional_text_of(number)
  return number and text_of(number) or '-'
end
