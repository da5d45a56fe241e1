"""Checks the Lua scripts against the rules that their files share, without running them.

The files of the script that changes counts are parts of one script, so that names are looked up in all of them. Each of
the scripts that read is separate. The tests check the results of the scripts.
"""

import re
import sys
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Final

import tallykeeper_lua
from tallykeeper_lua import Fragment
from tools.lua_names import name_faults
from tools.lua_tree import Node, is_field_name, parse, parts, text_of, walk

BOUNDED_ITERATORS: Final = ("ipairs", "pairs", "string.gmatch")
HEADER_SECTIONS: Final = ["keys", "arguments", "statuses"]
REDIS_CALLS: Final = ("redis.call", "redis.pcall")
DRIVER: Final = "driver"
READ_SHEBANGS: Final = ("#!lua flags=no-writes", "#!lua flags=no-writes,allow-cross-slot-keys")


def main() -> int:
    """Print a line for each fault of the installed scripts. Return 1 if there is a fault, else 0."""
    fragments, scripts = tallykeeper_lua.fragments(), tallykeeper_lua.read_scripts()
    found = [*faults(fragments), *chain.from_iterable(map(read_script_faults, scripts))]
    for fault in found:
        print(fault)
    print(f"Lua: {len(found)} faults in {len(fragments) + len(scripts)} files")
    return 1 if found else 0


def faults(fragments: Sequence[Fragment]) -> list[str]:
    """Return all faults of a script of these files, each as `file:line: message`."""
    lines = [
        (fragment.name, line) for fragment in fragments for line, _ in enumerate(fragment.text.split("\n"), start=1)
    ]
    root = parse(tallykeeper_lua.joined(fragments))
    driver_rows = {row for row, (name, _) in enumerate(lines) if name.startswith(f"{DRIVER}/")}
    found = [
        (node.start_point.row, message)
        for node, message in chain(_construct_faults(root), _redis_faults(root, driver_rows), name_faults(root))
    ]
    for fragment in fragments:
        if fragment.operation:
            row = lines.index((fragment.name, 1))
            found += [(row, message) for message in _operation_faults(fragment)]
    return ["{}:{}: {}".format(*lines[row], message) for row, message in sorted(found)]


def read_script_faults(script: Fragment) -> list[str]:
    """Return all faults of a script that reads, each as `file:line: message`."""
    root = parse(script.text)
    found = [
        (node.start_point.row + 1, message)
        for node, message in chain(_construct_faults(root), _redis_faults(root), name_faults(root))
    ]
    if script.text.partition("\n")[0] not in READ_SHEBANGS:
        choices = " or ".join(READ_SHEBANGS)
        found.append((1, f"a script that reads begins with {choices}, so that Redis lets it change nothing"))
    return [f"{script.name}:{line}: {message}" for line, message in sorted(found)]


def _construct_faults(root: Node) -> Iterator[tuple[Node, str]]:
    """Yield syntax errors, and loops without a bound."""
    for node in walk(root):
        if node.is_error or node.is_missing:
            yield node, "this is not Lua"
        elif node.type in {"while_statement", "repeat_statement", "goto_statement"}:
            yield node, "this loop has no bound: use a for loop that has one"
        elif node.type == "for_generic_clause":
            iterator = parts(parts(node)[-1])[0].child_by_field_name("name")
            if iterator is None or text_of(iterator) not in BOUNDED_ITERATORS:
                yield node, f"this loop may have no bound: go over one of {', '.join(BOUNDED_ITERATORS)}"


def _redis_faults(root: Node, driver_rows: Collection[int] | None = None) -> Iterator[tuple[Node, str]]:
    """Yield uses of Redis outside the driver's rows, and uses other than calls. ``None``: every row may use Redis."""
    for node in walk(root):
        if node.type != "identifier" or text_of(node) != "redis" or is_field_name(node):
            continue
        if driver_rows is not None and node.start_point.row not in driver_rows:
            yield node, "only the driver may use redis"
        access = node.parent
        called = access is not None and access.parent is not None and access.parent.type == "function_call"
        if access is None or text_of(access) not in REDIS_CALLS or not called:
            yield node, "use redis only in the calls redis.call(…) and redis.pcall(…); a refusal is a status"


def _operation_faults(fragment: Fragment) -> Iterator[str]:
    """Yield differences between an operation's header, its code and the file's name."""
    header = [line for line in fragment.text.split("\n\n", 1)[0].splitlines() if line.startswith("--")]
    sections = [found[1] for line in header if (found := re.match(r"-- (\w+)  ", line))]
    if sections != HEADER_SECTIONS:
        yield f"the header needs the sections {', '.join(HEADER_SECTIONS)}, and has {', '.join(sections) or 'none'}"
        return

    root = parse(fragment.text)
    name = f"operations.{fragment.operation}"
    assigned = [text_of(parts(part)[0]) for part in parts(root) if part.type == "assignment_statement"]
    if assigned != [name]:
        yield f"the file assigns {', '.join(assigned) or 'nothing'}, and not {name} alone"

    status_lines = header[next(at for at, line in enumerate(header) if line.startswith("-- statuses")) :]
    documented = {
        found[1] for line in status_lines if (found := re.match(r"--(?: statuses)? +([A-Z_]{2,})(?:  |$)", line))
    }
    returned = {status for node in walk(root) if (status := _returned_status(node))}
    if documented != returned:
        yield f"only the header or only the code has the status {', '.join(sorted(documented ^ returned))}"


def _returned_status(node: Node) -> str:
    """The status of a return statement that begins with a status. It is empty for any other node."""
    if node.type != "return_statement" or not parts(node):
        return ""
    value = text_of(parts(parts(node)[0])[0])
    found = re.fullmatch(r"['\"]([A-Z_]{2,})['\"]", value)
    return found[1] if found else ""


if __name__ == "__main__":
    sys.exit(main())
