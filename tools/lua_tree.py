"""Reads Lua as a syntax tree. The lints interpret the tree."""

from collections.abc import Iterator
from typing import Final

import tree_sitter_lua
from tree_sitter import Language, Node, Parser

__all__ = ["Node", "is_field_name", "parse", "parts", "text_of", "walk"]

_LUA: Final = Language(tree_sitter_lua.language())


def parse(source: str) -> Node:
    """Return the root of the tree, which has error nodes at syntax errors."""
    return Parser(_LUA).parse(source.encode()).root_node


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all its descendants, in the order of the source."""
    yield node
    for child in node.children:
        yield from walk(child)


def parts(node: Node) -> list[Node]:
    """Return a node's children without its punctuation and comments."""
    return [child for child in node.named_children if child.type != "comment"]


def text_of(node: Node) -> str:
    """Return the source of a node."""
    return (node.text or b"").decode()


def is_field_name(node: Node) -> bool:
    """Return True if an identifier is the name of a field, as ``b`` in ``a.b``, ``a:b()`` and ``{ b = 1 }``."""
    parent = node.parent
    if parent is None:
        return False
    if parent.type in {"dot_index_expression", "method_index_expression"}:
        return node != parent.child_by_field_name("table")
    return parent.type == "field" and parent.children[0] == node and parent.child_count > 1
