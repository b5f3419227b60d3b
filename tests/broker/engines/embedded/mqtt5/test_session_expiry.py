"""How long a client of MQTT 5 asks for its session to be kept. sessions/test_expiry.py has the clock."""

from collections.abc import AsyncIterator

import pytest

from broker.engines.embedded import EmbeddedSettings
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.mqtt5.conftest import Clock
from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    DISCONNECT,
    PUBLISH,
    Place,
    RawClient,
    Will,
    connect_packet,
    packet,
    sized,
)
from tests.broker.engines.embedded.raw_properties import SESSION_EXPIRY, prop, props

NEVER = 0xFFFF_FFFF


def asked(expiry: int | None) -> bytes:
    return b"" if expiry is None else prop(SESSION_EXPIRY, expiry)


class Coming:
    """A client that comes and goes, on a clock."""

    def __init__(self, place: Place, clock: Clock, listener: RawClient) -> None:
        self._place = place
        self.clock = clock
        self.listener = listener

    async def come(self, expiry: int | None = None, *, present: bool = False) -> RawClient:
        will = Will("gone", b"x")
        return await self._place.connect(
            "me", level=5, clean=False, will=will, properties=asked(expiry), present=present
        )

    async def lose(self, client: RawClient) -> None:
        """Break off, and wait until the broker has seen it."""
        client.drop()
        await self.listener.expect(PUBLISH)

    async def found_after(self, seconds: float) -> bool:
        """Whether the session is there after some time; it ends with this."""
        self.clock.now += seconds
        client = await self._place.open()
        client.send(connect_packet("me", level=5, clean=False))
        found = (await client.expect(CONNACK)).body[0]
        await client.disconnect()
        return bool(found)


@pytest.fixture
async def coming() -> AsyncIterator[Coming]:
    clock = Clock()
    settings = EmbeddedSettings(listen=LOOPBACK, session_expiry=60)
    async with embedded(settings, clock=clock.read) as (_, place):
        listener = await place.connect(level=5)
        await listener.subscribe(("gone", 0))
        yield Coming(place, clock, listener)


@pytest.mark.parametrize(
    ("expiry", "told", "lasts"),
    [(None, None, 0), (0, None, 0), (10, None, 10), (60, None, 60), (61, 60, 60), (NEVER, 60, 60)],
)
@pytest.mark.parametrize("lost", [True, False])
async def test_a_session_lasts_as_long_as_its_client_is_told(
    coming: Coming, expiry: int | None, told: int | None, lasts: int, lost: bool
) -> None:
    """From its close on. Where that is less than it has asked for, CONNACK says so."""
    for waited, found in ((lasts - 1, True), (lasts + 1, False)):
        if waited < 0:
            continue
        client = await coming.come(expiry)
        assert dict(props(client.welcome)).get(SESSION_EXPIRY) == told
        coming.clock.now += 1000
        assert await client.ping() == []
        await (coming.lose(client) if lost else client.disconnect())
        assert await coming.found_after(waited) is found


@pytest.mark.parametrize(
    ("first", "then", "lasts"), [(10, 5, 5), (10, 20, 20), (10, NEVER, 60), (10, 0, 0), (0, 0, 0)]
)
async def test_a_disconnect_may_change_how_long_a_session_lasts(
    coming: Coming, first: int, then: int, lasts: int
) -> None:
    for waited, found in ((lasts - 1, True), (lasts + 1, False)):
        if waited < 0:
            continue
        client = await coming.come(first)
        await client.disconnect(b"\0" + sized(asked(then)))
        assert await coming.found_after(waited) is found


@pytest.mark.parametrize("first", [None, 0])
async def test_a_session_that_ends_with_its_connection_is_not_kept_after_all(
    coming: Coming, first: int | None
) -> None:
    """It is a protocol error: the client is told, its will is sent, and the session ends."""
    client = await coming.come(first)
    client.send(packet(DISCONNECT, b"\0" + sized(asked(10))))
    assert (await client.expect(DISCONNECT)).body[:1] == b"\x82"
    assert await client.closed()
    await coming.listener.expect(PUBLISH)
    assert not await coming.found_after(0)
