-- Runs the mutations in memory, one after another: each sees the changes of the mutations before it.

local OUTCOMES_JOINED_BY = '\30'
local LEVELS_JOINED_BY = '\n'

-- The values of a mutation, as offsets from its first value. After its levels come the number of its arguments, and
-- then the arguments.
local MUTATION_OPERATION, MUTATION_REASON, MUTATION_REFERENCE, MUTATION_LEVEL_COUNT, MUTATION_LEVELS = 0, 1, 2, 3, 4

-- The result of running a mutation. An interrupted mutation is run again in a later script call.
local APPLIED, REFUSED, INTERRUPTED = 1, 2, 3

local STOCK_LETTER, COUNTER_LETTER = 115, 99 -- string.byte('s') and string.byte('c'): the names of levels begin so
local NONE = {}

-- Gives a level its kind, its name and its value. A level whose time is up counts as none: a counter that has expired,
-- or a reservation that has been kept for long enough.
local function load_level(batch, namespace, level)
  local levels, name_at = batch.levels, namespace.prefix_length + 1
  local key, text = levels[level + LEVEL_KEY], levels[level + LEVEL_TEXT]
  local letter = string.byte(key, name_at)
  local kind = letter == STOCK_LETTER and stock or letter == COUNTER_LETTER and counter or reservation
  local decode = kind.decode -- also where there is nothing to decode, so that the operations of the kind are defined
  local value = text and decode(text)
  local gone_at = value and kind.gone_at and kind.gone_at(value, batch.settings)
  levels[level + LEVEL_KIND], levels[level + LEVEL_NAME] = kind, string.sub(key, name_at)
  levels[level + LEVEL_VALUE], levels[level + LEVEL_BEFORE] = value, value
  if gone_at and gone_at <= namespace.now then
    levels[level + LEVEL_VALUE], levels[level + LEVEL_TEXT], namespace.keeps_time = false, false, true
  end
end

-- True if the namespace has reservations whose time is up.
local function something_is_due(namespace)
  if namespace.something_is_due == nil then
    local key = KEYS[namespace.first_key + DUE_KEY]
    local due = redis.call('ZRANGE', key, '-inf', namespace.now_text, 'BYSCORE', 'LIMIT', 0, 1)
    namespace.something_is_due = #due > 0
  end
  return namespace.something_is_due
end

local function refusal_of(namespace, status, facts)
  local words = { status, '0', namespace.now_text }
  for index, fact in ipairs(facts) do
    words[3 + index] = index % 2 == 0 and text_of(fact) or fact
  end
  return table.concat(words, ' ')
end

-- Describes a level after an operation. Returns its text, false if it is deleted; and the text of the change and of the
-- level in the ledger.
local function describe(levels, level, value)
  local kind = levels[level + LEVEL_KIND]
  local text = value and kind.encode(value)
  local shown = value and kind.entry_text and kind.entry_text(value) or text or ''
  return text, kind.changes(levels[level + LEVEL_VALUE], value), shown
end

-- Adds the entry of a mutation, whose lines say what it changes. Returns its outcome. What may fail comes before the
-- first change, so that an error leaves no trace.
local function note_entry(batch, namespace, offset, extra, lines, reply)
  local mutations, entries, revision = batch.mutations, namespace.entries, namespace.revision + 1
  local revision_text = text_of(revision)
  local entry = mutations[offset + MUTATION_OPERATION] .. '\t' .. batch.request_id .. '\t'
    .. mutations[offset + MUTATION_REASON] .. '\t' .. mutations[offset + MUTATION_REFERENCE] .. '\t'
    .. batch.identity .. '\t' .. lines
  local outcome = 'OK ' .. revision_text .. ' ' .. namespace.now_text .. (extra and ' ' .. text_of(extra) or '')
    .. LEVELS_JOINED_BY .. reply
  local size = #entries
  entries[size + 1], entries[size + 2], namespace.revision = revision_text, entry, revision
  return outcome
end

-- Gives a level its new value and text, and notes its namespace.
local function change(batch, namespace, level, value, text)
  local levels, log = batch.levels, batch.log
  if log then
    several.note(log, levels, level)
  end
  levels[level + LEVEL_VALUE], levels[level + LEVEL_TEXT], levels[level + LEVEL_CHANGED_IN] = value, text, namespace
end

-- Applies the change of an operation to the one level of a mutation. Returns the outcome of the mutation.
local function take_over(batch, namespace, offset, level, extra, value)
  local levels = batch.levels
  local text, changes, shown = describe(levels, level, value)
  local lines = levels[level + LEVEL_NAME] .. '\t' .. changes .. '\t' .. shown
  local outcome = note_entry(batch, namespace, offset, extra, lines, text or levels[level + LEVEL_TEXT])
  change(batch, namespace, level, value, text)
  return outcome
end

-- Runs a mutation. Returns its outcome, and APPLIED, REFUSED or INTERRUPTED.
local function execute_mutation(batch, namespace, offset)
  local mutations, all_levels = batch.mutations, batch.levels
  local count = mutations[offset + MUTATION_LEVEL_COUNT]
  local level = (mutations[offset + MUTATION_LEVELS] - 1) * VALUES_OF_LEVEL
  if not all_levels[level + LEVEL_KIND] then
    load_level(batch, namespace, level)
  end
  local levels, names = { all_levels[level + LEVEL_VALUE] }, NONE
  if count > 1 then
    names = several.load(batch, namespace, offset, levels)
  end
  local status, extra, after, held = operations[mutations[offset + MUTATION_OPERATION]](
    levels, mutations, offset + MUTATION_LEVELS + count + 1, namespace.now, names, batch.settings)
  if status == 'READ_AGAIN' then
    return status, INTERRUPTED
  end
  if held and not batch.is_final and something_is_due(namespace) then
    return 'DUE', INTERRUPTED
  end
  if status ~= 'OK' then
    namespace.keeps_time = namespace.keeps_time or status == 'RESERVATION_EXPIRED'
    return refusal_of(namespace, status, extra), REFUSED
  end
  if count > 1 then
    return several.take_over(batch, namespace, offset, extra, after), APPLIED
  end
  return take_over(batch, namespace, offset, level, extra, after[1]), APPLIED
end

-- Returns the offset of the mutation after another one.
local function next_mutation_after(mutations, offset)
  local argument_count_at = offset + MUTATION_LEVELS + mutations[offset + MUTATION_LEVEL_COUNT]
  return argument_count_at + 1 + mutations[argument_count_at]
end

-- Returns the outcome of a mutation that failed or was interrupted.
local function interruption_of(namespace, has_run, reply)
  return (has_run and reply or 'FAILED') .. ' 0 ' .. namespace.now_text .. (has_run and '' or ' ' .. tostring(reply))
end

-- Runs a bundle that has no record yet, and records its outcomes if they are definite. Returns the reply.
local function run_bundle(batch, namespace, offset, first_mutation)
  local bundles = batch.bundles
  local id, note = bundles[offset + BUNDLE_ID], bundles[offset + BUNDLE_NOTE]
  local part_at = string.find(id, '\1', 1, true)
  batch.request_id = part_at and string.sub(id, 1, part_at - 1) or id
  batch.identity = bundles[offset + BUNDLE_IDENTITY]
  local reply, is_definite
  if bundles[offset + BUNDLE_MUTATIONS] > 1 then
    reply, is_definite = several.run(batch, namespace, offset, first_mutation)
  else
    local has_run, outcome, became = pcall(execute_mutation, batch, namespace, first_mutation)
    is_definite = has_run and became ~= INTERRUPTED
    reply = is_definite and outcome or interruption_of(namespace, has_run, outcome)
  end
  if not is_definite then
    return reply
  end
  if note ~= '' then
    reply = reply .. note
  end
  if id ~= '' then
    local record, recorded = bundles[offset + BUNDLE_FINGERPRINT] .. reply, namespace.recorded
    local size = #recorded
    recorded[size + 1], recorded[size + 2] = id, record
    namespace.records[id] = record
  end
  return reply
end

local function failure_of(namespace)
  return 'FAILED 0 ' .. namespace.now_text .. ' ' .. namespace.broken
end

-- Returns the first reply: the times, generations and ages that the caller takes in.
local function times_of(batch)
  local namespaces, times = batch.namespaces, { text_of(batch.redis_time), nil }
  for number = 1, #namespaces do
    times[number + 1] = text_of(namespaces[number].generation) .. ' ' .. (namespaces[number].age_text or '0')
  end
  for number = 1, #namespaces do
    if namespaces[number].is_ahead then
      times[#times + 1] = number .. ' ' .. namespaces[number].now_text
    end
  end
  return table.concat(times, ' ')
end

-- Replies to a bundle whose request has a record.
local function repeat_of(namespace, record, fingerprint)
  if string.sub(record, 1, FINGERPRINT_BYTES) ~= fingerprint then
    return 'REQUEST_ID_REUSED 0 ' .. namespace.now_text
  end
  namespace.is_repeated = true
  return '* ' .. string.sub(record, FINGERPRINT_BYTES + 1)
end

-- Runs all bundles. Returns the replies.
local function execute(batch)
  local bundles, mutations, next_mutation = batch.bundles, batch.mutations, 1
  local replies = { times_of(batch), nil }
  for offset = 1, #bundles, VALUES_OF_BUNDLE do
    local namespace, id = batch.namespaces[bundles[offset + BUNDLE_NAMESPACE]], bundles[offset + BUNDLE_ID]
    local record = namespace.records[id]
    local reply
    if namespace.broken then
      reply = failure_of(namespace)
    elseif record then
      reply = repeat_of(namespace, record, bundles[offset + BUNDLE_FINGERPRINT])
    else
      reply = run_bundle(batch, namespace, offset, next_mutation)
    end
    replies[#replies + 1] = reply
    if bundles[offset + BUNDLE_PARTS] > 1 and id ~= '' and not namespace.broken then
      several.keep_parts_together(batch, namespace, offset)
    end
    for _ = 1, bundles[offset + BUNDLE_MUTATIONS] do
      next_mutation = next_mutation_after(mutations, next_mutation)
    end
  end
  return replies
end
