"""Looks up every name of a Lua script by Lua's rules of scope, and finds the wrong names.

A name is wrong if it is a global that Redis does not have, if it hides another name, or if nothing reads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tools.lua_tree import Node, is_field_name, parts, text_of

GLOBALS: Final = frozenset(
    "ARGV KEYS assert bit cjson cmsgpack error getmetatable ipairs math next os pairs pcall rawequal rawget rawset"  # noqa: SIM905  # a list would have a line for each name
    " redis select setmetatable string struct table tonumber tostring type unpack xpcall".split()
)
"""The globals of a script in Redis and Valkey, from the Redis Lua API reference, without those that run or load
text."""

UNUSED: Final = "_"


def name_faults(root: Node) -> list[tuple[Node, str]]:
    """Return each node of a script that has a wrong name, with a message."""
    lookup = _Lookup()
    lookup.visit_block(root, _Scope())
    return lookup.faults


@dataclass(slots=True)
class _Local:
    node: Node
    is_read: bool = False


@dataclass(slots=True)
class _Scope:
    outer: "_Scope | None" = None
    locals_: dict[str, _Local] = field(default_factory=dict)

    def find(self, name: str) -> _Local | None:
        if name in self.locals_:
            return self.locals_[name]
        return self.outer.find(name) if self.outer else None


class _Lookup:
    """One walk through a script, in the order in which Lua makes names known."""

    def __init__(self) -> None:
        self.faults: list[tuple[Node, str]] = []

    def visit_block(self, block: Node | None, scope: _Scope) -> None:
        """Visit the statements of a scope that has its parameters or loop variables already."""
        for statement in parts(block) if block else ():
            self._visit(statement, scope)
        for name, local in scope.locals_.items():
            if not local.is_read:
                self.faults.append((local.node, f"nothing reads {name}: remove it, or call it {UNUSED}"))

    def _visit(self, node: Node, scope: _Scope) -> None:
        match node.type:
            case "identifier":
                self._read(node, scope)
            case "block":
                self.visit_block(node, _Scope(scope))
            case "variable_declaration":
                self._visit_local(node, scope)
            case "assignment_statement":
                self._visit_assignment(node, scope)
            case "function_declaration" | "function_definition":
                self._visit_function(node, scope)
            case "for_statement":
                self._visit_for(node, scope)
            case _:
                self._visit_parts(node, scope)

    def _visit_parts(self, node: Node, scope: _Scope) -> None:
        for part in parts(node):
            if not (part.type == "identifier" and is_field_name(part)):
                self._visit(part, scope)

    def _visit_local(self, node: Node, scope: _Scope) -> None:
        declared = parts(node)[0]
        if declared.type == "assignment_statement":
            declared, values = parts(declared)
            self._visit(values, scope)
        self._declare(declared.children_by_field_name("name"), scope)

    def _visit_assignment(self, node: Node, scope: _Scope) -> None:
        targets, values = parts(node)
        self._visit(values, scope)
        for target in parts(targets):
            self._assign(target, scope)

    def _visit_function(self, node: Node, scope: _Scope) -> None:
        name = node.child_by_field_name("name")
        if name and node.children[0].type == "local":
            self._declare([name], scope)
        elif name:
            self._assign(name, scope)
        parameters = node.child_by_field_name("parameters")
        inner = _Scope(scope)
        self._declare([each for each in parts(parameters) if each.type == "identifier"] if parameters else [], inner)
        self.visit_block(node.child_by_field_name("body"), inner)

    def _visit_for(self, node: Node, scope: _Scope) -> None:
        clause = parts(node)[0]
        first, *expressions = parts(clause)
        for expression in expressions:
            self._visit(expression, scope)
        inner = _Scope(scope)
        self._declare([first] if first.type == "identifier" else parts(first), inner)
        self.visit_block(node.child_by_field_name("body"), inner)

    def _declare(self, names: Sequence[Node], scope: _Scope) -> None:
        for node in names:
            name = text_of(node)
            if name == UNUSED:
                continue
            if scope.find(name) or name in GLOBALS:
                self.faults.append((node, f"{name} has a meaning here already: find another name"))
            scope.locals_[name] = _Local(node)

    def _assign(self, target: Node, scope: _Scope) -> None:
        if target.type != "identifier":
            self._visit(target, scope)
        elif not scope.find(text_of(target)):
            self.faults.append((target, f"{text_of(target)} would be a global: make it local"))

    def _read(self, node: Node, scope: _Scope) -> None:
        name = text_of(node)
        local = scope.find(name)
        if local:
            local.is_read = True
        elif name not in GLOBALS:
            self.faults.append((node, f"{name} is neither a local nor a global that Redis has"))
