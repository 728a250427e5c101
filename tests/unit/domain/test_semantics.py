"""`docs/semantics.md` promises a test for every row: each one named there exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")


def rows() -> dict[int, set[str]]:
    """The tests that each row names."""
    lines = re.findall(r"^\| (\d+) \|(.*)\|$", DOCUMENT, re.MULTILINE)
    return {int(number): set(re.findall(r"`(test_\w+)`", text)) for number, text in lines}


def functions_in(folder: str) -> set[str]:
    trees = [ast.parse(file.read_text()) for file in (ROOT / "tests" / folder).glob("test_*.py")]
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name for node in functions if node.name.startswith("test_")}


def test_every_row_has_a_test_and_every_named_test_exists() -> None:
    known = functions_in("stories") | functions_in("e2e")
    named = rows()

    assert set(named) == set(range(1, 49))
    assert [number for number, tests in named.items() if not tests] == []
    assert {test for tests in named.values() for test in tests} - known == set()


def test_every_story_of_a_row_is_named_in_it() -> None:
    named = rows()
    for story in sorted(functions_in("stories")):
        if (found := re.match(r"test_row_(\d+)_", story)) is not None:
            assert story in named[int(found[1])], story
