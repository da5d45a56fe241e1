"""Annotations are read with `inspect.get_annotations`, because Python 3.14 keeps none in the dictionary of a class."""

from tests.lint.test_layout import PACKAGES


def test_no_module_reads_annotations_from_a_dictionary() -> None:
    modules = [path for package in PACKAGES for path in package.rglob("*.py")]

    assert modules
    assert [path for path in modules if "__annotations__" in path.read_text(encoding="utf-8")] == []
