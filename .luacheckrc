-- For `make lint`, which gives luacheck the script as a whole when luacheck is installed.
std = {
  read_globals = {
    'ARGV', 'KEYS', 'assert', 'bit', 'cjson', 'cmsgpack', 'error', 'getmetatable', 'ipairs', 'next', 'pairs',
    'pcall', 'rawequal', 'rawget', 'rawset', 'select', 'setmetatable', 'struct', 'tonumber', 'tostring', 'type',
    'unpack', 'xpcall',
    math = { other_fields = true },
    os = { fields = { 'clock' } },
    redis = { fields = { 'call', 'pcall' } },
    string = { other_fields = true },
    table = { other_fields = true },
  },
}
max_line_length = 120
