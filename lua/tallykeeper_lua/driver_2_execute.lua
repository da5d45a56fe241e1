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
  local entry = {
    mutation.operation,
    string.match(bundle.request_id, '^[^\1]*'),
    mutation.reason,
    mutation.reference,
    bundle.identity,
  }
  local texts, outcome = {}, {}
  for number = 1, order and #order or #mutation.levels do
    local place = order and order[number] or number
    local level, value = mutation.levels[place], after[place]
    local kind = level.kind
    local text = value and kind.encode(value)
    texts[place] = text
    if number == 1 or mutation.levels[1].kind ~= reservation then
      outcome[number] = text or level.text
    end
    entry[#entry + 1] = level.name
    entry[#entry + 1] = kind.changes(inputs[place], value)
    entry[#entry + 1] = value and kind.entry_text(value) or ''
  end
  local revision = text_of(bundle.namespace.revision + 1)
  local head = { 'OK', revision, now_text }
  for place, extra in ipairs(extras) do
    head[3 + place] = text_of(extra)
  end
  return {
    outcome = table.concat(head, ' ') .. LEVELS_JOINED_BY .. table.concat(outcome, LEVELS_JOINED_BY),
    revision = revision,
    entry = table.concat(entry, '\t'),
    after = after,
    texts = texts,
  }
end

-- Runs a mutation's operation and finds out what it changes. It changes nothing itself, so that an error in
-- it leaves no trace.
local function execute(mutation)
  local names, inputs = {}, {}
  for place, level in ipairs(mutation.levels) do
    names[place] = level.name
    inputs[place] = value_of(level)
  end
  local status, values, after, held = operations[mutation.operation](inputs, mutation.arguments, now, names)
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

-- Takes over what a mutation changes, and returns what it was before.
local function take_over(mutation, result)
  local namespace, order = mutation.bundle.namespace, result.after.order
  local before = {}
  for number = 1, order and #order or #mutation.levels do
    local place = order and order[number] or number
    local level = mutation.levels[place]
    before[number] = { level = level, value = level.value, text = level.text, changed_in = level.changed_in }
    level.value = result.after[place]
    level.text = result.texts[place]
    level.changed_in = namespace
  end
  namespace.revision = namespace.revision + 1
  local entries = namespace.entries
  entries[#entries + 1] = result.revision
  entries[#entries + 1] = result.entry
  return before
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

-- Runs a bundle. Returns its outcomes, joined, and whether they are to be recorded.
local function run(bundle)
  local outcomes, changes, refused, applied = {}, {}, false, {}
  for number, mutation in ipairs(bundle.mutations) do
    local ran, result = pcall(execute, mutation)
    if not ran or result.interruption then
      undo(bundle.namespace, changes)
      return (ran and result.interruption or 'FAILED') .. ' 0 ' .. now_text .. (ran and '' or ' ' .. tostring(result)),
        false
    end
    if result.after then
      changes[#changes + 1] = take_over(mutation, result)
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
