"""Runs the commands that a page shows, as they stand there."""

import os
import subprocess
from pathlib import Path

from tests.support.mosquitto_clients import require


def in_a_shell(command: str, port: int, folder: Path) -> str:
    """Run a command in a folder; Mosquitto's clients find the port of the node in their settings."""
    client = command.split(maxsplit=1)[0]
    require(client)
    (folder / client).write_text(f"-p {port}\n")
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder)}
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout
