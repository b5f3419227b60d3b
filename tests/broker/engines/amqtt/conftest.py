"""amqtt's broker in this process, as a node runs it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from broker.contract.address import Address
from broker.contract.engine import Receiver
from broker.engines.amqtt.configuration import AmqttSettings
from broker.engines.amqtt.engine import AmqttEngine
from tests.broker.engines.embedded.raw_client import Place, place_at

LOOPBACK = Address("127.0.0.1", 0)


@contextlib.asynccontextmanager
async def amqtt(
    *,
    receiver: Receiver = lambda _: None,
    filters: tuple[str, ...] = (),
    file: Path | None = None,
    connect_timeout: float = 30.0,
) -> AsyncIterator[tuple[AmqttEngine, Place]]:
    """The engine, started."""
    engine = AmqttEngine(AmqttSettings(listen=LOOPBACK, file=file, connect_timeout=connect_timeout))
    await engine.start(receiver, filters)
    try:
        async with place_at(int(engine.url.rpartition(":")[2])) as place:
            yield engine, place
    finally:
        await engine.stop()


@pytest.fixture
def logins(tmp_path: Path) -> Path:
    """A configuration with alice, whose password is wonderland."""
    passwords, file = tmp_path / "passwords", tmp_path / "amqtt.yaml"
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("wonderland")
    passwords.write_text(f"alice:{hashed}\n")
    file.write_text(
        f"plugins:\n  amqtt.plugins.authentication.FileAuthPlugin:\n    password_file: {passwords}\n"
    )
    return file


@pytest.fixture
def rights(logins: Path) -> Path:
    """The same, where she may publish below a/ alone, and subscribe to nothing."""
    with logins.open("a") as file:
        file.write("  amqtt.plugins.topic_checking.TopicAccessControlListPlugin:\n")
        file.write("    publish_acl: {alice: ['a/#']}\n")
    return logins
