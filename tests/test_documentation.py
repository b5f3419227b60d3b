"""What the documents show is run against a real node, and prints what they say."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mosquitto_clients import require
from tests.support.programs import REPOSITORY, Program, fog_node

TIMINGS = re.compile(r'("(?:waited|ran|total|predicted)_ms":)[\d.]+')
MESSAGE = re.compile(r'("message":)"[^"]*"')

# The task of one's own that the README shows.
MY_TASKS = re.search(
    r"```python\n(from weighbridge import task\n.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL
)


def examples(page: str) -> list[tuple[str, str]]:
    """The command lines of a page that ask a node, each with the line it prints."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", (REPOSITORY / page).read_text(), re.DOTALL):
        lines = block.splitlines()
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            if line.startswith("$ mosquitto_rr"):
                found.append((line.removeprefix("$ "), after if after.startswith("{") else ""))
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
        fog_node(folder, name="fog-a") as fog_a,
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


def test_imports_run_one_way() -> None:
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(REPOSITORY / "pyproject.toml"), no_cache=True) == 0
