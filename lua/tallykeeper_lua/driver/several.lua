-- Runs mutations of several levels, bundles of several mutations, and requests in parts.

local VALUES_OF_CHANGE = 4 -- in the log of changes: the level, and its value, text and namespace before

-- Appends the levels of a mutation after the first one to `values`. Returns the names of all levels.
function several.load(batch, namespace, offset, values)
  local mutations, levels, before_levels = batch.mutations, batch.levels, offset + MUTATION_LEVELS - 1
  local names = { levels[(mutations[before_levels + 1] - 1) * VALUES_OF_LEVEL + LEVEL_NAME] }
  for local_index = 2, mutations[offset + MUTATION_LEVEL_COUNT] do
    local level = (mutations[before_levels + local_index] - 1) * VALUES_OF_LEVEL
    if not levels[level + LEVEL_KIND] then
      load_level(batch, namespace, level)
    end
    values[local_index], names[local_index] = levels[level + LEVEL_VALUE], levels[level + LEVEL_NAME]
  end
  return names
end

-- Applies the changes of an operation to the levels of a mutation. Returns the outcome of the mutation: with the
-- reservation alone if the first level is a reservation.
function several.take_over(batch, namespace, offset, extra, after)
  local mutations, levels, before_levels = batch.mutations, batch.levels, offset + MUTATION_LEVELS - 1
  local order = after.order
  local count = order and #order or mutations[offset + MUTATION_LEVEL_COUNT]
  local texts, lines, reply, kind = {}, {}, {}, nil
  for number = 1, count do
    local local_index = order and order[number] or number
    local level, line = (mutations[before_levels + local_index] - 1) * VALUES_OF_LEVEL, 3 * number
    lines[line - 2] = levels[level + LEVEL_NAME]
    texts[number], lines[line - 1], lines[line] = describe(levels, level, after[local_index])
    reply[number], kind = texts[number] or levels[level + LEVEL_TEXT], kind or levels[level + LEVEL_KIND]
  end
  local reply_text = kind == reservation and reply[1] or table.concat(reply, LEVELS_JOINED_BY)
  local outcome = note_entry(batch, namespace, offset, extra, table.concat(lines, '\t'), reply_text)
  for number = 1, count do
    local local_index = order and order[number] or number
    local level = (mutations[before_levels + local_index] - 1) * VALUES_OF_LEVEL
    change(batch, namespace, level, after[local_index], texts[number])
  end
  return outcome
end

-- Notes in the log the state of a level before a change.
function several.note(log, levels, level)
  local size = #log
  log[size + 1], log[size + 2] = level, levels[level + LEVEL_VALUE]
  log[size + 3], log[size + 4] = levels[level + LEVEL_TEXT], levels[level + LEVEL_CHANGED_IN]
end

-- Undoes the changes in the log, the last one first, and the revisions after `revision`.
local function undo(batch, namespace, revision)
  local levels, log, entries = batch.levels, batch.log, namespace.entries
  for change_at = #log - VALUES_OF_CHANGE + 1, 1, -VALUES_OF_CHANGE do
    local level = log[change_at]
    levels[level + LEVEL_VALUE], levels[level + LEVEL_TEXT] = log[change_at + 1], log[change_at + 2]
    levels[level + LEVEL_CHANGED_IN] = log[change_at + 3]
  end
  for _ = revision + 1, namespace.revision do
    entries[#entries] = nil
    entries[#entries] = nil
  end
  namespace.revision = revision
end

-- Runs the mutations of a bundle. Returns their outcomes, joined, and whether they are definite. A bundle is undone if
-- it is atomic and one of its mutations is refused, or if one of them fails or cannot be run yet.
local function run_logged(batch, namespace, offset, mutation)
  local outcomes, applied, is_refused = {}, {}, false
  local revision, is_atomic = namespace.revision, batch.bundles[offset + BUNDLE_ATOMIC] == 1
  for number = 1, batch.bundles[offset + BUNDLE_MUTATIONS] do
    local has_run, outcome, became = pcall(execute_mutation, batch, namespace, mutation)
    if not has_run or became == INTERRUPTED then
      undo(batch, namespace, revision)
      return interruption_of(namespace, has_run, outcome), false
    end
    if became == REFUSED then
      is_refused = true
    elseif is_atomic then
      applied[#applied + 1] = number
    end
    outcomes[number] = outcome
    mutation = next_mutation_after(batch.mutations, mutation)
  end
  if is_atomic and is_refused then
    undo(batch, namespace, revision)
    for _, number in ipairs(applied) do
      outcomes[number] = 'NOT_APPLIED 0 ' .. namespace.now_text
    end
  end
  return table.concat(outcomes, OUTCOMES_JOINED_BY), true
end

-- Runs the mutations of a bundle with a log of their changes.
function several.run(batch, namespace, offset, first_mutation)
  batch.log = {}
  local outcomes, is_definite = run_logged(batch, namespace, offset, first_mutation)
  batch.log = nil
  return outcomes, is_definite
end

-- Puts the records of all parts of a request into the current bucket, so that they are forgotten together.
function several.keep_parts_together(batch, namespace, offset)
  local recorded, bucket_of = namespace.recorded, namespace.bucket_of or NONE
  local request_id = string.match(batch.bundles[offset + BUNDLE_ID], '^[^\1]+')
  for part = 0, batch.bundles[offset + BUNDLE_PARTS] - 1 do
    local id = record_id_of(request_id, part)
    local bucket = bucket_of[id]
    if bucket and bucket ~= namespace.bucket then
      local size = #recorded
      recorded[size + 1], recorded[size + 2] = id, namespace.records[id]
      namespace.moved_from = namespace.moved_from or {}
      namespace.moved_from[bucket] = namespace.moved_from[bucket] or {}
      table.insert(namespace.moved_from[bucket], id)
      bucket_of[id] = namespace.bucket
    end
  end
end
