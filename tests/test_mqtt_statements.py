"""The page on MQTT has every statement of the standard once, and the tests that it names exist."""

import ast
import re
from functools import cache

from tests.support.programs import REPOSITORY

PAGE = (REPOSITORY / "docs/mqtt.md").read_text("utf-8")
ROWS: list[tuple[str, str]] = re.findall(r"^\| MQTT-([\d.-]+) \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE)
CLIENTS: list[str] = re.findall(r"MQTT-([\d.-]+\d)", PAGE.partition("concerns clients only")[2])

# The last statement of each section of the standard.
LAST = """
1.5.4-3 1.5.5-1 1.5.7-1 2.1.3-1 2.2.1-6 2.2.2-1
3.1.0-2 3.1.2-30 3.1.3-12 3.1.4-6 3.2.0-2 3.2.2-22 3.3.1-13 3.3.2-20 3.3.4-10
3.4.2-3 3.5.2-3 3.6.1-1 3.6.2-3 3.7.2-3
3.8.1-1 3.8.3-5 3.8.4-8 3.9.2-2 3.9.3-2 3.10.1-1 3.10.3-2 3.10.4-6 3.11.2-2 3.11.3-2
3.12.4-1 3.14.0-1 3.14.1-1 3.14.2-4 3.14.4-3 3.15.1-1 3.15.2-3
4.1.0-2 4.2-1 4.2.0-1 4.3.1-1 4.3.2-5 4.3.3-13 4.4.0-2 4.5.0-2 4.6.0-6
4.7.0-1 4.7.1-2 4.7.2-1 4.7.3-4 4.8.2-6 4.9.0-3 4.12.0-7 4.12.1-2 4.13.1-1 4.13.2-1 6.0.0-4
"""


def standard() -> list[str]:
    """The numbers of all statements. There is no 2.2.1-1."""
    sections = [one.split("-") for one in LAST.split()]
    found = [f"{section}-{one}" for section, last in sections for one in range(1, int(last) + 1)]
    found.remove("2.2.1-1")
    return found


@cache
def functions_of(name: str) -> set[str]:
    """The functions of the one file below tests/broker whose path ends so."""
    files = [file for file in (REPOSITORY / "tests/broker").rglob("test_*.py") if file.match(name)]
    if len(files) != 1:
        return set()
    body = ast.parse(files[0].read_text("utf-8")).body
    return {one.name for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_statement_is_there_once() -> None:
    brokers = [number for number, _ in ROWS]
    assert (len(brokers), len(CLIENTS)) == (227, 25)
    assert sorted(brokers + CLIENTS) == sorted(standard())


def test_every_statement_is_held_by_tests_that_exist() -> None:
    named = {number: re.findall(r"`([\w/]+\.py)::(test_\w+)`", held_by) for number, held_by in ROWS}
    assert [number for number, tests in named.items() if not tests] == []
    wanted = {one for tests in named.values() for one in tests}
    assert sorted(f"{file}::{test}" for file, test in wanted if test not in functions_of(file)) == []
