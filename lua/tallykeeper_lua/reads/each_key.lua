#!lua flags=no-writes,allow-cross-slot-keys
-- Sends one command to each of many keys of a node of a cluster, which no single command could name together.
--
-- ARGV       one MessagePack array of the command, the keys, and the arguments that follow each key
-- returns    all replies, one after another: the elements of a reply that is a list, any other reply as it is
--
-- A key whose slot has just left the node gives no reply: the node that has it now is asked for it the next time.
local command, names, arguments = unpack(cmsgpack.unpack(ARGV[1]))
local found = {}
for _, name in ipairs(names) do
  local reply = redis.pcall(command, name, unpack(arguments))
  if type(reply) ~= 'table' then
    found[#found + 1] = reply or nil
  elseif not reply.err then
    for _, element in ipairs(reply) do
      found[#found + 1] = element
    end
  elseif not string.find(reply.err, 'non local key', 1, true) then
    return reply
  end
end
return found
