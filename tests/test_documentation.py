"""What the documents show is run against a real node, and prints what they say."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from docs import rooms_picture, settings_page
from tests.support.mosquitto_clients import require
from tests.support.programs import REPOSITORY, Program, fog_node

TIMINGS = re.compile(r'("(?:waited|ran|total|predicted)_ms":)[\d.]+')
MESSAGE = re.compile(r'("message":)"[^"]*"')

# The task of one's own that the README shows.
MY_TASKS = re.search(r"```python\n(# my_tasks.py\n.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)


def examples(page: str) -> list[tuple[str, str]]:
    """The command lines of a page that ask a node, each with the line it prints."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", (REPOSITORY / page).read_text(), re.DOTALL):
        lines = block.splitlines()
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            if line.startswith("$ mosquitto_rr"):
                found.append((line.removeprefix("$ "), after if after.startswith("{") else ""))
    return found


def links(page: str) -> list[str]:
    """Where a page leads to within the repository."""
    found = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (REPOSITORY / page).read_text())
    return [link for link in found if "://" not in link]


PAGES = sorted(
    str(page.relative_to(REPOSITORY))
    for pattern in ("*.md", "docs/*.md", "examples/**/*.md")
    for page in REPOSITORY.glob(pattern)
)


def folders() -> set[str]:
    """Every folder of the repository that holds code."""
    return {str(one.parent.relative_to(REPOSITORY)) for one in sources()} | {"tests/end_to_end"}


def sources() -> Iterator[Path]:
    """Every file of code of the product."""
    for package in ("broker", "fog_tasks", "fog_node", "cloud_node", "device_sim", "weighbridge"):
        yield from (REPOSITORY / package).rglob("*.py")


@cache
def members(path: Path) -> dict[str, set[str]]:
    """The classes of a file, each with its methods and, for the class itself, an empty name."""
    tree = ast.parse(path.read_text("utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {one.name: {"", *(getattr(item, "name", "") for item in one.body)} for one in found}


def classes(near: list[str]) -> dict[str, list[set[str]]]:
    """The classes by name, in the files that are named nearby, else in all."""
    found: dict[str, list[set[str]]] = {}
    for path in [REPOSITORY / one for one in near] or sources():
        for name, methods in members(path).items():
            found.setdefault(name, []).append(methods)
    return found


def masked(outcome: str) -> str:
    """An outcome without what differs from run to run."""
    return MESSAGE.sub(r'\1"…"', TIMINGS.sub(r"\g<1>0", outcome)).strip()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Program]]:
    folder: Path = tmp_path_factory.mktemp("documented")
    assert MY_TASKS is not None
    (folder / "my_tasks.py").write_text(MY_TASKS[1])
    with (
        fog_node(folder, name="fog-a", workers="light=1,medium=1") as fog_a,
        fog_node(folder, "--tasks", str(folder / "my_tasks.py"), name="kitchen") as kitchen,
    ):
        yield {"topics.md": fog_a, "README.md": kitchen}


@pytest.mark.parametrize(
    ("page", "command", "printed"),
    [(page, *example) for page in ("topics.md", "README.md") for example in examples(page)],
)
def test_examples_print_what_the_page_says(
    nodes: dict[str, Program], page: str, command: str, printed: str
) -> None:
    require("mosquitto_rr")
    words = shlex.split(command)
    words[1:1] = ["-p", str(nodes[page].port), "-W", "15"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
    if printed:
        assert masked(done.stdout) == masked(printed)
    else:
        assert done.stdout.startswith('{"ok":true,')


def test_the_pages_have_examples() -> None:
    assert len(examples("topics.md")) >= 5
    assert len(examples("README.md")) >= 2


def test_error_codes_are_all_explained() -> None:
    from broker.contract.messages import ErrorCode

    text = (REPOSITORY / "topics.md").read_text()
    assert [code for code in ErrorCode if f"| `{code}` |" not in text] == []


def test_the_python_program_of_the_readme_prints_the_sum(nodes: dict[str, Program], tmp_path: Path) -> None:
    found = re.search(
        r"```python\n(import asyncio\n.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL
    )
    assert found is not None
    program = found[1].replace("mqtt://localhost:1883", nodes["README.md"].url)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "6\n"


def test_the_readme_is_short_and_begins_with_code() -> None:
    lines = (REPOSITORY / "README.md").read_text().splitlines()
    assert len(lines) < 100
    assert any(line.startswith("```python") for line in lines[:15])


@pytest.mark.parametrize("index", ["README.md", "docs/README.md"])
def test_every_document_is_listed(index: str) -> None:
    pages = {*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")} - {REPOSITORY / index}
    linked = {(REPOSITORY / index).parent / link for link in links(index)}
    assert {page.resolve() for page in pages} - {page.resolve() for page in linked} == set()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    folder = (REPOSITORY / page).parent
    assert [link for link in links(page) if not (folder / link).exists()] == []


def test_the_page_of_settings_is_what_make_docs_writes() -> None:
    assert settings_page.PAGE.read_text("utf-8") == settings_page.page()


def test_the_picture_of_the_rooms_is_what_make_docs_draws() -> None:
    assert rooms_picture.FILE.read_text("utf-8") == rooms_picture.picture()


def test_files_and_methods_that_the_architecture_names_exist() -> None:
    """A method stands in the file that the same row of a table names, if that file has its class."""
    page = (REPOSITORY / "docs/architecture.md").read_text()
    files = set(re.findall(r"`([a-z_/]+/[a-z_]+\.py)`", page))
    assert len(files) > 40
    assert {one for one in files if not (REPOSITORY / one).exists()} == set()
    assert set(re.findall(r"`([a-z_/]+/)`", page)) - {one + "/" for one in folders()} == set()
    wrong = []
    for line in page.splitlines():
        near = re.findall(r"`([a-z_/]+/[a-z_]+\.py)`", line) if line.startswith("|") else []
        for name, method in re.findall(r"`([A-Z]\w+)(?:\.(\w+))?`", line):
            known = classes(near).get(name) or classes([]).get(name, [])
            if not any(method in methods for methods in known):
                wrong.append(f"{name}.{method} {near}")
    assert wrong == []


def test_troubleshooting_knows_every_code_and_every_trouble() -> None:
    from broker.contract.messages import ErrorCode

    page = (REPOSITORY / "docs/troubleshooting.md").read_text()
    source = (REPOSITORY / "fog_node/announcer.py").read_text()
    troubles = re.findall(r'"((?:the|Redis) [^"]* cannot be reached|Redis cannot be reached)"', source)
    assert len(troubles) == 3
    assert [one for one in (*ErrorCode, *troubles) if f"| `{one}` |" not in page] == []


def test_bounds_that_the_guarantees_name_are_the_defaults() -> None:
    from fog_node.settings import FogSettings

    page = (REPOSITORY / "docs/guarantees.md").read_text()
    named = re.findall(r"`--([a-z-]+)` \(([\d,]+)( MiB)?\)", page)
    assert len(named) >= 5
    for option, number, unit in named:
        value = getattr(FogSettings(), option.replace("-", "_"))
        assert value == int(number.replace(",", "")) * (2**20 if unit else 1), option


def test_limits_of_the_security_page_are_the_defaults() -> None:
    from fog_node.settings import FogSettings

    page = (REPOSITORY / "docs/security.md").read_text()
    rows = re.findall(r"\| ((?:`--[a-z-]+`(?:, )?)+) \| ([\d,]+(?:; [\d,]+)*) \|", page)
    assert len(rows) >= 6
    for options, numbers in rows:
        found = [getattr(FogSettings(), one[3:-1].replace("-", "_")) for one in options.split(", ")]
        assert found == [int(one.replace(",", "")) for one in numbers.split("; ")], options


def test_the_log_lines_that_are_explained_are_written() -> None:
    page = (REPOSITORY / "docs/troubleshooting.md").read_text()
    section = page.partition("### The log")[2].partition("\n## ")[0]
    explained = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", section)) - {"restart_in_s", "next_try_s"}
    written = "".join(path.read_text() for path in sources())
    assert len(explained) > 10
    assert {event for event in explained if f'"{event}"' not in written} == set()


def test_imports_run_one_way() -> None:
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(REPOSITORY / "pyproject.toml"), no_cache=True) == 0


def test_the_policy_and_the_split_task_of_the_placement_page_are_what_they_claim() -> None:
    from fog_tasks import Task

    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/placement.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert callable(names["farthest"])
    assert isinstance(names["total"], Task)
    assert names["total"].split is not None
