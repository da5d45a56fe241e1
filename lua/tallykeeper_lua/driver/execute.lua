-- Runs the mutations in memory, one after another: each sees what those before it did.

local OUTCOMES_JOINED_BY = '\30'
local LEVELS_JOINED_BY = '\n'
local VALUES_OF_CHANGE = 4 -- in the log of changes: place, value, text, changed in

local NONE = {}
local kinds = { [string.byte('s')] = stock, [string.byte('c')] = counter, [string.byte('r')] = reservation }

-- The bundle that is run: its namespace, under which request id and by whom, and what it has changed so far, to be
-- undone; nil if nothing will have to be.
local home, request_id, identity, log

-- True if a level is to be forgotten: a counter whose time is up, a reservation that has been kept for long enough.
local function is_over(kind, value)
  local gone_at = kind.gone_at and kind.gone_at(value)
  return gone_at and gone_at <= home.now
end

local function value_at(place)
  local value = level_values[place]
  if value == nil then
    local key = KEYS[first_level_key + place - 1]
    local kind = kinds[string.byte(key, home.prefix_length + 1)]
    local decode = kind.decode -- also where there is nothing to decode, so that the kind's operations are there
    value = level_texts[place] and decode(level_texts[place])
    level_kinds[place], level_names[place] = kind, string.sub(key, home.prefix_length + 1)
    values_before[place] = value
    if value and is_over(kind, value) then
      value, level_texts[place], home.keeps_time = false, false, true
    end
    level_values[place] = value
  end
  return value
end

-- True if the namespace has reservations whose time is up.
local function something_is_due()
  if home.something_is_due == nil then
    local due = redis.call('ZRANGE', due_of(home), '-inf', home.now_text, 'BYSCORE', 'LIMIT', 0, 1)
    home.something_is_due = #due > 0
  end
  return home.something_is_due
end

local function refusal_of(status, facts)
  local words = { status, '0', home.now_text }
  for place, fact in ipairs(facts) do
    words[3 + place] = place % 2 == 0 and text_of(fact) or fact
  end
  return table.concat(words, ' ')
end

-- The place among all levels, and among those of its mutation, of one that an operation has returned.
local function place_of(at, order, number)
  local own = order and order[number] or number
  return mutations[at + 3 + own], own
end

-- The text of a level after an operation, false if it deletes it; and what the ledger says of it: the changes, and its
-- text there.
local function describe(place, value)
  local kind = level_kinds[place]
  local text = value and kind.encode(value)
  local shown = value and kind.entry_text and kind.entry_text(value) or text or ''
  return text, kind.changes(level_values[place], value), shown
end

-- The texts of several levels; what the ledger says of them; and what the reply does: of a reservation and what it
-- holds, the reservation alone.
local function describe_all(at, order, count, after)
  local texts, lines = {}, {}
  for number = 1, count do
    local place, own = place_of(at, order, number)
    local line = 3 * number
    lines[line - 2] = level_names[place]
    texts[number], lines[line - 1], lines[line] = describe(place, after[own])
  end
  local told = { texts[1] }
  if level_kinds[place_of(at, order, 1)] ~= reservation then
    for number = 1, count do
      told[number] = texts[number] or level_texts[place_of(at, order, number)]
    end
  end
  return texts, table.concat(lines, '\t'), table.concat(told, LEVELS_JOINED_BY)
end

-- Takes over what a level has become.
local function change(place, value, text)
  if log then
    local size = #log
    log[size + 1], log[size + 2], log[size + 3], log[size + 4] = place, level_values[place], level_texts[place],
      changed_in[place] or false
  end
  level_values[place], level_texts[place], changed_in[place] = value, text, home
end

-- Takes over what an operation has changed, and returns the mutation's outcome. All that may fail comes before the
-- first change, so that an error leaves no trace.
local function take_over(at, extra, after)
  local order = after.order
  local count = order and #order or mutations[at + 3]
  local first, own = place_of(at, order, 1)
  local name, text, changes, shown, texts, lines, told
  if count == 1 then
    name = level_names[first]
    text, changes, shown = describe(first, after[own])
    told = text or level_texts[first]
  else
    texts, lines, told = describe_all(at, order, count, after)
  end
  local revision = text_of(home.revision + 1)
  local entry = mutations[at] .. '\t' .. request_id .. '\t' .. mutations[at + 1] .. '\t' .. mutations[at + 2] .. '\t'
    .. identity .. '\t' .. (lines or name .. '\t' .. changes .. '\t' .. shown)
  local outcome = 'OK ' .. revision .. ' ' .. home.now_text .. (extra and ' ' .. text_of(extra) or '')
    .. LEVELS_JOINED_BY .. told

  for number = 1, count do
    local place, among_own = place_of(at, order, number)
    change(place, after[among_own], text or texts and texts[number] or false)
  end
  home.revision = home.revision + 1
  local entries = home.entries
  local size = #entries
  entries[size + 1], entries[size + 2] = revision, entry
  return outcome
end

-- Runs the mutation that begins at a place of the list. Returns its outcome, and "applied", "refused" or
-- "interrupted": then something must be done first.
local function execute(at)
  local count, first_level = mutations[at + 3], at + 4
  local levels, their_names = { value_at(mutations[first_level]) }, NONE
  if count > 1 then
    their_names = { level_names[mutations[first_level]] }
    for number = 2, count do
      local place = mutations[first_level + number - 1]
      levels[number], their_names[number] = value_at(place), level_names[place]
    end
  end
  local status, extra, after, held =
    operations[mutations[at]](levels, mutations, first_level + count + 1, home.now, their_names)
  if status == 'READ_AGAIN' then
    return status, 'interrupted'
  end
  if held and final == 0 and something_is_due() then
    return 'DUE', 'interrupted'
  end
  if status ~= 'OK' then
    home.keeps_time = home.keeps_time or status == 'RESERVATION_EXPIRED'
    return refusal_of(status, extra), 'refused'
  end
  return take_over(at, extra, after), 'applied'
end

-- Where the mutation after the one at a place begins.
local function after_mutation(at)
  local argument_count_at = at + 4 + mutations[at + 3]
  return argument_count_at + 1 + mutations[argument_count_at]
end

-- Undoes what the bundle has changed, the last of it first.
local function undo(revision)
  for at = #log - VALUES_OF_CHANGE + 1, 1, -VALUES_OF_CHANGE do
    local place = log[at]
    level_values[place], level_texts[place], changed_in[place] = log[at + 1], log[at + 2], log[at + 3] or nil
  end
  local entries = home.entries
  for _ = revision + 1, home.revision do
    entries[#entries] = nil
    entries[#entries] = nil
  end
  home.revision = revision
end

local function interruption_of(ran, told)
  return (ran and told or 'FAILED') .. ' 0 ' .. home.now_text .. (ran and '' or ' ' .. tostring(told))
end

-- Runs a bundle of one mutation, as `run_several` does.
local function run_one(at)
  log = nil
  local ran, outcome, became = pcall(execute, at)
  if not ran or became == 'interrupted' then
    return interruption_of(ran, outcome), false
  end
  return outcome, true
end

-- Runs a bundle's mutations. Returns their outcomes, joined, and whether they are to be recorded.
local function run_several(at, count, atomic)
  log = {}
  local outcomes, revision, refused, applied = {}, home.revision, false, {}
  for number = 1, count do
    local ran, outcome, became = pcall(execute, at)
    if not ran or became == 'interrupted' then
      undo(revision)
      return interruption_of(ran, outcome), false
    end
    if became == 'refused' then
      refused = true
    elseif atomic then
      applied[#applied + 1] = number
    end
    outcomes[number] = outcome
    at = after_mutation(at)
  end
  if atomic and refused then
    undo(revision)
    for _, number in ipairs(applied) do
      outcomes[number] = 'NOT_APPLIED 0 ' .. home.now_text
    end
  end
  return table.concat(outcomes, OUTCOMES_JOINED_BY), true
end

-- Runs a bundle that has no record yet, and records what is definite. Returns what to reply.
local function run(at, first_mutation)
  local id, note, count = bundles[at + 1], bundles[at + 3], bundles[at + 7]
  local part_at = string.find(id, '\1', 1, true)
  request_id, identity = part_at and string.sub(id, 1, part_at - 1) or id, bundles[at + 5]
  local outcomes, definite
  if count > 1 then
    outcomes, definite = run_several(first_mutation, count, bundles[at + 4] == 1)
  else
    outcomes, definite = run_one(first_mutation)
  end
  if not definite then
    return outcomes
  end
  outcomes = note == '' and outcomes or outcomes .. note
  if id ~= '' then
    local record, recorded = bundles[at + 2] .. outcomes, home.recorded
    local size = #recorded
    recorded[size + 1], recorded[size + 2] = id, record
    home.records[id] = record
  end
  return outcomes
end

-- Puts the records of all parts of a request into the current bucket, so that they are forgotten together.
local function keep_together(at)
  local id = string.match(bundles[at + 1], '^[^\1]+')
  for part = 0, bundles[at + 6] - 1 do
    local record_id = record_id_of(id, part)
    local bucket = home.bucket_of[record_id]
    if bucket and bucket ~= home.bucket then
      local size = #home.recorded
      home.recorded[size + 1], home.recorded[size + 2] = record_id, home.records[record_id]
      home.moved_from = home.moved_from or {}
      home.moved_from[bucket] = home.moved_from[bucket] or {}
      table.insert(home.moved_from[bucket], record_id)
      home.bucket_of[record_id] = home.bucket
    end
  end
end

local function failure_of(namespace)
  return 'FAILED 0 ' .. namespace.now_text .. ' ' .. namespace.broken
end

local times = { text_of(redis_time) }
for number, namespace in ipairs(namespaces) do
  times[number + 1] = text_of(namespace.generation) .. ' ' .. text_of(namespace.age or 0)
end
for number, namespace in ipairs(namespaces) do
  if namespace.now > math.max(agreed, namespace.held) + LEAD_REPORTED then
    times[#times + 1] = number .. ' ' .. namespace.now_text
  end
end

local replies = { table.concat(times, ' ') }
local next_mutation = 1
for at = 1, #bundles, VALUES_OF_BUNDLE do
  home = namespaces[bundles[at]]
  local record = home.records[bundles[at + 1]]
  local reply
  if home.broken then
    reply = failure_of(home)
  elseif not record then
    reply = run(at, next_mutation)
  elseif string.sub(record, 1, FINGERPRINT_BYTES) == bundles[at + 2] then
    reply = '* ' .. string.sub(record, FINGERPRINT_BYTES + 1)
    home.repeated = true
  else
    reply = 'REQUEST_ID_REUSED 0 ' .. home.now_text
  end
  if bundles[at + 6] > 1 and bundles[at + 1] ~= '' and not home.broken then
    keep_together(at)
  end
  replies[#replies + 1] = reply
  for _ = 1, bundles[at + 7] do
    next_mutation = after_mutation(next_mutation)
  end
end
