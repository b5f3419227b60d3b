"""What docs/celery.md shows is run as it stands there, but for where Redis is."""

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from fog_node.infrastructure.redis_server import redis_socket
from fog_tasks.redis_url import celery_url, socket_url
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.pages import in_a_shell, shown
from tests.support.programs import REPOSITORY, Program, fog_node

PAGE = "docs/celery.md"
LABEL, CLIENT = re.findall(r"```python\n(.*?)```", (REPOSITORY / PAGE).read_text("utf-8"), re.DOTALL)
TIMINGS = re.compile(r'("(?:waited|ran|total)_ms":)[\d.]+')
REDIS = "redis://localhost:6379/0"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, str]]:
    """A node with the tasks of the page, and its Redis as Celery's tools are told of it."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "shop.py").write_text(LABEL)
    sources = ("--tasks", str(folder / "shop.py"), "--tasks", "examples/tasks/sensors.py")
    with fog_node(folder, *sources, name="kitchen") as program:
        yield program, celery_url(socket_url(redis_socket(folder / "kitchen")))


def test_a_plain_celery_task_prints_what_the_page_says(node: tuple[Program, str], tmp_path: Path) -> None:
    ((command, printed),) = shown(PAGE, "mosquitto_rr")
    said = in_a_shell(command, node[0].port, tmp_path)
    assert TIMINGS.sub(r"\g<1>0", said).splitlines() == [TIMINGS.sub(r"\g<1>0", line) for line in printed]


def test_a_celery_client_gets_the_value(node: tuple[Program, str]) -> None:
    program = CLIENT.replace(REDIS, node[1])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    assert done.stdout.startswith(b"{'normal': False, 'anomalies': [3],")


async def test_flower_shows_the_workers(node: tuple[Program, str], tmp_path: Path) -> None:
    ((command, _),) = shown(PAGE, "celery")
    port = free_port()
    words = command.replace(REDIS, node[1]).replace("5555", str(port)).split()
    flower = Program([*words, f"--db={tmp_path / 'flower'}"], tmp_path)

    def page() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/workers", timeout=5) as answer:
                return str(answer.read())
        except OSError:
            return ""

    try:
        await eventually(lambda: "light-" in page())
    finally:
        flower.close()
