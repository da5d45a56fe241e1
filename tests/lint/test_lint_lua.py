"""The lint of the Lua scripts finds each fault that a test plants in a script without one."""

import pytest

import tallykeeper_lua
from tallykeeper_lua import Fragment
from tools.lint_lua import READ_SHEBANGS, faults, read_script_faults

OPERATION = """\
-- Adds one.
--
-- keys       counter
-- arguments  delta: 1 .. 9
-- statuses   OK         the counter after
--            TOO_LARGE  delta
operations.counter_add = function(levels, arguments)
  local delta = arguments[1]
  if delta == limit_of(levels) then
    return 'TOO_LARGE', { 'delta', delta }
  end
  return 'OK', {}, { levels[1] }
end
"""
PRELUDE = """\
#!lua
local operations, counter, define = {}, {}, nil
local function limit_of(levels)
  return #levels
end
"""
DRIVER = """\
for name, operation in pairs(operations, define(counter)) do
  redis.call('SET', KEYS[1], name, operation(KEYS, ARGV))
end
"""
LINE_PLANTED = 4


def faults_of(*, prelude: str = PRELUDE, operation: str = OPERATION, driver: str = DRIVER) -> list[str]:
    return faults(
        [Fragment("prelude.lua", prelude), Fragment("counter/add.lua", operation), Fragment("driver/store.lua", driver)]
    )


def test_the_script_has_no_fault() -> None:
    assert faults(tallykeeper_lua.fragments()) == []


def test_the_example_has_no_fault() -> None:
    assert faults_of() == []


UNREAD = "nothing reads x: remove it, or call it _"
UNKNOWN = "x is neither a local nor a global that Redis has"
GLOBAL = "x would be a global: make it local"
HIDING = "x has a meaning here already: find another name"
UNBOUNDED = "this loop has no bound: use a for loop that has one"
NOT_A_CALL = "use redis only in the calls redis.call(…) and redis.pcall(…); a refusal is a status"


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("local x = 1", UNREAD),
        ("local x\nx = 1", UNREAD),
        ("local x = function(_) end", UNREAD),
        ("local function x() end", UNREAD),
        ("local function f(x) end f()", UNREAD),
        ("for x = 1, 2 do end", UNREAD),
        ("for _, x in ipairs(KEYS) do end", UNREAD),
        ("x()", UNKNOWN),
        ("x.y = 1", UNKNOWN),
        ("function x.y() end", UNKNOWN),
        ("type({ [x] = 1 })", UNKNOWN),
        ("local x = x type(x)", UNKNOWN),
        ("do local x = 1 type(x) end type(x)", UNKNOWN),
        ("x = 1", GLOBAL),
        ("function x() end", GLOBAL),
        ("local x = 1 do local x = x type(x) end", HIDING),
        ("local x = 1 local x = x type(x)", HIDING),
        ("local x = 1 local function f(x) return x end f(x)", HIDING),
        ("local type = 1 math.abs(type)", "type has a meaning here already: find another name"),
        ("while true do end", UNBOUNDED),
        ("repeat local x = 1 until type(1)", UNBOUNDED),
        ("goto x ::x::", UNBOUNDED),
        ("for _ in type do end", "this loop may have no bound: go over one of ipairs, pairs, string.gmatch"),
        ("redis.error_reply('no')", NOT_A_CALL),
        ("local call = redis.call call('GET')", NOT_A_CALL),
        ("type(redis)", NOT_A_CALL),
        ("type(", "this is not Lua"),
    ],
)
def test_a_planted_fault_is_found(statement: str, fault: str) -> None:
    found = faults_of(driver=f"{DRIVER}{statement}")

    assert f"driver/store.lua:{LINE_PLANTED}: {fault}" in found


@pytest.mark.parametrize(
    "statement",
    [
        "local function f(_, x) return f, x end f()",
        "for _, key in ipairs(KEYS) do local length = #key type(length) end",
        "local a = { b = 1, c = { d = KEYS.e } } function a.f() end a:g(a.b.h)",
        "local x -- a comment\nx = 1 type(x)",
        "local a, -- one\n b = 1, 2 type(a, b)",
        "type(function(...) return select('#', ...) end)",
        "if KEYS[1] then local x = 1 type(x) elseif ARGV[1] then type(1) else local x = 2 type(x) end",
    ],
)
def test_good_lua_has_no_fault(statement: str) -> None:
    assert faults_of(driver=f"{DRIVER}{statement}") == []


def test_only_the_driver_may_use_redis() -> None:
    call = "redis.call('GET', KEYS[1])\n"

    assert faults_of(prelude=PRELUDE + call) == ["prelude.lua:6: only the driver may use redis"]
    assert faults_of(operation=OPERATION + call) == ["counter/add.lua:14: only the driver may use redis"]


def test_each_file_of_the_driver_may_use_redis_and_no_other_file() -> None:
    call = "redis.call('GET', KEYS[1])\n"
    stage, main = Fragment("driver/store.lua", call), Fragment("driver/main.lua", DRIVER)

    found = faults([Fragment("prelude.lua", PRELUDE), stage, Fragment("counter/add.lua", OPERATION + call), main])

    assert found == ["counter/add.lua:14: only the driver may use redis"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("-- arguments", "-- takes    ", "the header needs the sections keys, arguments, statuses"),
        ("--", "---", "the header needs the sections keys, arguments, statuses"),
        ("--            TOO_LARGE  delta\n", "", "only the header or only the code has the status TOO_LARGE"),
        ("TOO_LARGE',", "TOO_SMALL',", "only the header or only the code has the status TOO_LARGE, TOO_SMALL"),
        ("counter_add", "counter_sub", "the file assigns operations.counter_sub, and not operations.counter_add"),
    ],
)
def test_an_operation_agrees_with_its_header_and_name(old: str, new: str, fault: str) -> None:
    (found,) = faults_of(operation=OPERATION.replace(old, new))

    assert found.startswith(f"counter/add.lua:1: {fault}")


READS = """\
#!lua flags=no-writes
redis.call('GET', KEYS[1])
"""


@pytest.mark.parametrize("script", tallykeeper_lua.read_scripts(), ids=lambda script: script.name)
def test_a_script_that_reads_has_no_fault(script: Fragment) -> None:
    assert read_script_faults(script) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"{READS}local x = 1", f"3: {UNREAD}"),
        (f"{READS}redis.error_reply('no')", f"3: {NOT_A_CALL}"),
        (f"{READS}while true do end", f"3: {UNBOUNDED}"),
        (
            READS.replace(" flags=no-writes", ""),
            f"1: a script that reads begins with {' or '.join(READ_SHEBANGS)}, so that Redis lets it change nothing",
        ),
    ],
)
def test_a_fault_that_is_planted_in_a_script_that_reads_is_found(text: str, fault: str) -> None:
    assert read_script_faults(Fragment("reads/levels.lua", READS)) == []

    assert read_script_faults(Fragment("reads/levels.lua", text)) == [f"reads/levels.lua:{fault}"]
