import pytest

from fog_tasks.imports import imports_of


@pytest.mark.parametrize(
    ("text", "package", "modules"),
    [
        ("import a.b, c", "", ["a", "a.b", "c"]),
        ("from a import b, c", "", ["a", "a.b", "a.c"]),
        ("from . import b", "a", ["a", "a.b"]),
        ("from .b import c", "a.d", ["a", "a.d", "a.d.b", "a.d.b.c"]),
        ("from ..b import c", "a.d", ["a", "a.b", "a.b.c"]),
        ("from . import b", "", []),
        ("def f():\n    import a", "", ["a"]),
        ("# coding: latin-1\nimport a  # \xe4", "", ["a"]),
        ("import (", "", []),
        ("import a\0", "", []),
    ],
)
def test_what_a_text_may_import(text: str, package: str, modules: list[str]) -> None:
    found = [module for one in imports_of(text.encode("latin-1"), package) for module in one.possible()]
    assert found == modules
