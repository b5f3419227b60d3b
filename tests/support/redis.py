"""A real Redis for a test, on a unix socket of its own."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import redis

from fog_node.infrastructure.redis_server import find_server, private_command, redis_socket


@contextlib.contextmanager
def private_redis(folder: Path) -> Iterator[str]:
    """A Redis that answers, as a URL."""
    folder.mkdir(parents=True, exist_ok=True)
    socket = redis_socket(folder)
    with subprocess.Popen(
        private_command(find_server(), folder, socket), stdout=subprocess.DEVNULL
    ) as process:
        try:
            client = redis.Redis.from_url(f"unix://{socket}")
            give_up = time.monotonic() + 30
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    assert time.monotonic() < give_up, "Redis does not answer"
                    time.sleep(0.01)
                else:
                    break
            client.close()
            yield f"unix://{socket}"
        finally:
            process.terminate()
