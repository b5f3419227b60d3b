"""The camera chain: light, then medium, then heavy work in the cloud, and only where something moves."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from fog_tasks.loading import load
from tests.examples.photograph import photograph
from tests.support.command_lines import said_by
from tests.support.mosquitto_clients import listening, publish
from tests.support.pages import options
from tests.support.programs import cloud_node, fog_node

PAGE = "examples/camera_chain/README.md"
TASKS = options(PAGE, "fog-node", "--tasks")
RED = (200, 30, 30)
STILL = photograph()


def with_a_car() -> bytes:
    """The same scene a moment later."""
    written = io.BytesIO()
    with Image.open(io.BytesIO(STILL)) as scene:
        ImageDraw.Draw(scene).rectangle((300, 400, 500, 600), fill=RED)
        scene.save(written, "JPEG", quality=88)
    return written.getvalue()


def test_what_moves_is_kept_in_the_cloud_and_what_stands_still_goes_no_further(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    rules = options(PAGE, "fog-node", "--rules")
    with (
        cloud_node(tmp_path, *TASKS, environment={"CAMERA_ARCHIVE": str(archive)}) as cloud,
        fog_node(
            tmp_path, "--cloud", cloud.url, *TASKS, *rules, workers="light=1,medium=1", data="yard"
        ) as node,
        listening(node.port, "cameras/+/motion", count=2) as motions,
        listening(node.port, "cameras/+/seen", "-t", "cameras/+/error", count=1, shown="%t %p") as seen,
    ):
        for burst in (STILL + STILL, STILL + with_a_car()):
            publish(node.port, "cameras/yard/burst", burst, "-q", "1")
        topic, _, name = seen.wait()[0].decode().partition(" ")
        moved = [json.loads(line)["moved"] for line in motions.wait()]
        asking = ("fog_node", "rules", "--data", str(tmp_path / "yard"))
        counts, table = json.loads(said_by(*asking, "--json").stdout), said_by(*asking).stdout
    assert topic == "cameras/yard/seen"
    with Image.open(archive / name) as kept:
        red, green, blue = kept.resize((1, 1)).tobytes()
    assert (red > 150, max(green, blue) < 70) == (True, True)
    assert moved[0] == 0 < moved[1]
    assert [(one["rule"], one["matched"], one["started"]) for one in counts["rules"]] == [
        ("motion", 2, 2),
        ("cut-out", 2, 1),
        ("archive", 1, 1),
    ]
    assert counts["rules"][1]["passed_over"] == {"when": 1}
    assert "1 when" in table


@pytest.mark.parametrize("burst", [b"", STILL, STILL[:-2] + STILL])
def test_what_are_not_two_photographs_is_a_clear_failure(burst: bytes) -> None:
    motion = load(TASKS[1:])["motion"]
    with pytest.raises(ValueError, match="are not two JPEG photographs one behind the other"):
        motion.function(burst)


def test_a_photograph_that_is_cut_off_is_a_clear_failure() -> None:
    motion = load(TASKS[1:])["motion"]
    with pytest.raises(ValueError, match="cannot be read"):
        motion.function(STILL + STILL[:1000])
