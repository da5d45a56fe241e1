-- Runs the three stages.

local batch = prefetch()
local replies = execute(batch)
store(batch, replies)
return replies
