-- Runs the mutations in memory, one after another: each sees what those before it did.

local OUTCOMES_JOINED_BY = '\30'
local LEVELS_JOINED_BY = '\n'

local function value_of(level)
  if level.value == nil then
    level.value = level.text and level.kind.decode(level.text)
    level.before = level.value
  end
  return level.value
end

-- True if the namespace has reservations whose time is up.
local function something_is_due(namespace)
  if namespace.something_is_due == nil then
    local due = redis.call('ZRANGE', namespace.due, '-inf', now_text, 'BYSCORE', 'LIMIT', 0, 1)
    namespace.something_is_due = #due > 0
  end
  return namespace.something_is_due
end

local function refusal_of(status, facts)
  local words = { status, '0', now_text }
  for place, fact in ipairs(facts) do
    words[3 + place] = place % 2 == 0 and text_of(fact) or fact
  end
  return { outcome = table.concat(words, ' ') }
end

-- The entry and the outcome of a mutation that comes out well, and what it changes.
local function success_of(mutation, inputs, extras, after)
  local bundle, order = mutation.bundle, after.order
  local request_id = bundle.request_id
  local part_at = string.find(request_id, '\1', 1, true)
  if part_at then
    request_id = string.sub(request_id, 1, part_at - 1)
  end
  local texts, outcome, lines = {}, nil, {}
  local only_first = mutation.levels[1].kind == reservation
  for number = 1, order and #order or #mutation.levels do
    local place = order and order[number] or number
    local level, value = mutation.levels[place], after[place]
    local kind = level.kind
    local text = value and kind.encode(value)
    texts[place] = text
    if number == 1 then
      outcome = text or level.text
    elseif not only_first then
      outcome = outcome .. LEVELS_JOINED_BY .. (text or level.text)
    end
    lines[number] = '\t' .. level.name .. '\t' .. kind.changes(inputs[place], value) .. '\t'
      .. (value and kind.entry_text and kind.entry_text(value) or text or '')
  end
  local revision = text_of(bundle.namespace.revision + 1)
  local head = 'OK ' .. revision .. ' ' .. now_text
  for _, extra in ipairs(extras) do
    head = head .. ' ' .. text_of(extra)
  end
  return {
    outcome = head .. LEVELS_JOINED_BY .. outcome,
    revision = revision,
    entry = mutation.operation .. '\t' .. request_id .. '\t' .. mutation.reason .. '\t' .. mutation.reference .. '\t'
      .. bundle.identity .. (lines[2] and table.concat(lines) or lines[1]),
    after = after,
    texts = texts,
  }
end

-- Runs a mutation's operation and finds out what it changes. It changes nothing itself, so that an error in
-- it leaves no trace.
local function execute(mutation)
  local named = mutation.levels
  local inputs = { value_of(named[1]) }
  for place = 2, #named do
    inputs[place] = value_of(named[place])
  end
  local status, values, after, held = operations[mutation.operation](inputs, mutation.arguments, now, named)
  if status == 'READ_AGAIN' then
    return { interruption = 'READ_AGAIN' }
  end
  if held and not final and something_is_due(mutation.bundle.namespace) then
    return { interruption = 'DUE' }
  end
  if status ~= 'OK' then
    return refusal_of(status, values)
  end
  return success_of(mutation, inputs, values, after)
end

-- Takes over what a mutation changes. What it was before goes into `before`, if that is given.
local function take_over(mutation, result, before)
  local namespace, order = mutation.bundle.namespace, result.after.order
  for number = 1, order and #order or #mutation.levels do
    local place = order and order[number] or number
    local level = mutation.levels[place]
    if before then
      before[number] = { level = level, value = level.value, text = level.text, changed_in = level.changed_in }
    end
    level.value = result.after[place]
    level.text = result.texts[place]
    level.changed_in = namespace
  end
  namespace.revision = namespace.revision + 1
  local entries = namespace.entries
  entries[#entries + 1] = result.revision
  entries[#entries + 1] = result.entry
end

-- Undoes what the mutations of a bundle have changed, the last of them first.
local function undo(namespace, changes)
  for number = #changes, 1, -1 do
    for _, before in ipairs(changes[number]) do
      local level = before.level
      level.value, level.text, level.changed_in = before.value, before.text, before.changed_in
    end
    local entries = namespace.entries
    entries[#entries] = nil
    entries[#entries] = nil
    namespace.revision = namespace.revision - 1
  end
end

local function interruption_of(ran, result)
  return (ran and result.interruption or 'FAILED') .. ' 0 ' .. now_text .. (ran and '' or ' ' .. tostring(result))
end

-- Runs a bundle of one mutation, as `run` does.
local function run_single(mutation)
  local ran, result = pcall(execute, mutation)
  if not ran or result.interruption then
    return interruption_of(ran, result), false
  end
  if result.after then
    take_over(mutation, result)
  end
  return result.outcome .. mutation.bundle.note, true
end

-- Runs a bundle. Returns its outcomes, joined, and whether they are to be recorded.
local function run(bundle)
  if not bundle.mutations[2] then
    return run_single(bundle.mutations[1])
  end
  local outcomes, changes, refused, applied = {}, {}, false, {}
  for number, mutation in ipairs(bundle.mutations) do
    local ran, result = pcall(execute, mutation)
    if not ran or result.interruption then
      undo(bundle.namespace, changes)
      return interruption_of(ran, result), false
    end
    if result.after then
      changes[#changes + 1] = {}
      take_over(mutation, result, changes[#changes])
      applied[#applied + 1] = number
    else
      refused = true
    end
    outcomes[number] = result.outcome
  end
  if bundle.atomic and refused then
    undo(bundle.namespace, changes)
    for _, number in ipairs(applied) do
      outcomes[number] = 'NOT_APPLIED 0 ' .. now_text
    end
  end
  return table.concat(outcomes, OUTCOMES_JOINED_BY) .. bundle.note, true
end

local replies = { now_text }
for number, bundle in ipairs(bundles) do
  local namespace, request_id = bundle.namespace, bundle.request_id
  local record = namespace.records[request_id]
  local reply
  if namespace.broken then
    reply = '0 FAILED 0 ' .. now_text .. ' ' .. namespace.broken
  elseif record then
    if string.sub(record, 1, FINGERPRINT_BYTES) == bundle.fingerprint then
      reply = '1 ' .. string.sub(record, FINGERPRINT_BYTES + 1)
      namespace.repeated = true
    else
      reply = '0 REQUEST_ID_REUSED 0 ' .. now_text
    end
  else
    local outcomes, definite = run(bundle)
    if request_id ~= '' and definite then
      local new_record = bundle.fingerprint .. outcomes
      namespace.records[request_id] = new_record
      namespace.recorded[#namespace.recorded + 1] = request_id
      namespace.recorded[#namespace.recorded + 1] = new_record
    end
    reply = '0 ' .. outcomes
  end
  replies[number + 1] = reply
end
