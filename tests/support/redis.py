"""A real Redis for a test: on a unix socket of its own, or by TLS."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from broker.security.certificates import TlsFiles
from fog_node.infrastructure.redis_server import find_server, private_command, redis_socket
from fog_tasks.redis_url import redis_url, socket_url
from tests.support.mosquitto import free_port


@contextlib.contextmanager
def private_redis(folder: Path) -> Iterator[str]:
    """A Redis that answers, as a URL."""
    folder.mkdir(parents=True, exist_ok=True)
    socket = redis_socket(folder)
    with _serving(private_command(find_server(), folder, socket), socket_url(socket)) as url:
        yield url


@contextlib.contextmanager
def secured_redis(
    certificates: Path, name: str = "redis", *, asks: bool = False, port: int | None = None
) -> Iterator[str]:
    """A Redis that speaks TLS alone, with one of the certificates in a folder, on a port of 127.0.0.1.

    With `asks`, Redis' own default, whoever comes needs a certificate of the same authority.
    """
    port, own = port or free_port(), certificates / name
    files = TlsFiles(cert=own.with_suffix(".crt"), key=own.with_suffix(".key"), ca=certificates / "ca.crt")
    command = [
        *(find_server(), "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", ""),
        *("--tls-cert-file", str(files.cert), "--tls-key-file", str(files.key)),
        *("--tls-ca-cert-file", str(files.ca), "--tls-auth-clients", "yes" if asks else "no"),
    ]
    plain = f"rediss://127.0.0.1:{port}/1"
    with _serving(command, redis_url(plain, files) + "&ssl_check_hostname=false"):
        yield plain


@contextlib.contextmanager
def _serving(command: list[str], url: str) -> Iterator[str]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            client = redis.Redis.from_url(url)
            give_up = time.monotonic() + 30
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    if process.poll() is not None:
                        (pytest.fail if os.environ.get("CI") else pytest.skip)("this Redis has no TLS")
                    assert time.monotonic() < give_up, "Redis does not answer"
                    time.sleep(0.01)
                else:
                    break
            client.close()
            yield url
        finally:
            process.terminate()
