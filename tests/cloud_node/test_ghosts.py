"""What a cloud's broker keeps of a node that was renamed, as an operator clears it."""

import re
import shlex
import subprocess
from pathlib import Path

from tests.support.mosquitto_clients import TIMEOUT, listening, require
from tests.support.programs import REPOSITORY, cloud_node, fog_node


def retained(port: int) -> list[str]:
    """The topics of nodes under which the broker keeps something."""
    command = [
        "mosquitto_sub",
        "-p",
        str(port),
        "-t",
        "fog/nodes/#",
        "--retained-only",
        "-F",
        "%t",
        "-W",
        "3",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    return sorted(done.stdout.split())


def test_the_line_of_the_troubleshooting_page_clears_a_node(tmp_path: Path) -> None:
    require("mosquitto_sub", "mosquitto_pub")
    page = (REPOSITORY / "docs" / "troubleshooting.md").read_text("utf-8")
    lines = re.findall(r"^\$ (mosquitto_pub .*fog/nodes/OLD/.*)$", page, re.MULTILINE)
    assert len(lines) == 2
    with cloud_node(tmp_path) as cloud:
        with (
            listening(cloud.port, "fog/nodes/OLD/catalog", count=1) as catalog,
            fog_node(tmp_path, "--cloud", cloud.url, name="OLD"),
        ):
            catalog.wait()
        assert {"fog/nodes/OLD/catalog", "fog/nodes/OLD/state"} <= set(retained(cloud.port))
        for line in lines:
            command = shlex.split(line.replace("CLOUD", "127.0.0.1"))
            command[1:1] = ["-p", str(cloud.port)]
            subprocess.run(command, check=True, timeout=TIMEOUT)
        assert not [topic for topic in retained(cloud.port) if "OLD" in topic]
