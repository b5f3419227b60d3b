"""Retained messages: kept, replaced and cleared, and what of them a subscription of MQTT 5 asks for."""

import pytest

from tests.broker.engines.embedded.raw_client import Arrived, Place


async def test_retained_messages_are_kept_replaced_and_cleared(place: Place) -> None:
    """An empty one reaches who listens, and is not kept itself."""
    client, listener = await place.connect(level=5), await place.connect(level=5)
    await listener.subscribe(("r", 1))

    async def retained() -> list[Arrived]:
        late = await place.connect(level=5)
        await late.subscribe(("r", 2))
        return await late.pending()

    for payload, retain, kept in (
        (b"x", True, b"x"),
        (b"y", True, b"y"),
        (b"z", False, b"y"),
        (b"", False, b"y"),
        (b"", True, None),
        (b"", True, None),
        (b"z", False, None),
    ):
        await client.publish("r", payload, qos=1, retain=retain)
        assert await listener.pending() == [Arrived("r", payload, 1)]
        assert await retained() == ([] if kept is None else [Arrived("r", kept, 1, retain=True)])


@pytest.mark.parametrize(("handling", "first", "again"), [(0, 1, 1), (1, 1, 0), (2, 0, 0)])
@pytest.mark.parametrize("clean", [True, False])
async def test_retain_handling_decides_what_a_subscription_brings(
    place: Place, handling: int, first: int, again: int, clean: bool
) -> None:
    """With each, with a new one, or with none; one that a session has brought along is not new."""
    sender = await place.connect(level=5)
    await sender.publish("r", b"x", qos=1, retain=True)
    kept = b"\x11\0\0\0\x64"
    client = await place.connect("me", level=5, properties=kept)
    options = handling << 4 | 1
    for coming in (first, again):
        assert await client.subscribe(("r", options)) == [1]
        assert await client.pending() == coming * [Arrived("r", b"x", 1, retain=True)]
    await client.disconnect()
    client = await place.connect("me", level=5, clean=clean, properties=kept, present=not clean)
    await client.subscribe(("r", options))
    assert len(await client.pending()) == (first if clean else again)
    await client.unsubscribe("r")
    await client.subscribe(("r", options))
    assert len(await client.pending()) == first


@pytest.mark.parametrize("as_published", [True, False])
@pytest.mark.parametrize("away", [True, False])
async def test_retain_as_published_decides_on_the_flag(place: Place, as_published: bool, away: bool) -> None:
    """Of what is published; what comes with a subscription has it in any case."""
    kept = b"\x11\0\0\0\x64"
    sender, client = await place.connect(level=5), await place.connect("me", level=5, properties=kept)
    options = as_published << 3 | 1
    await client.subscribe(("r", options))
    if away:
        await client.disconnect()
    for retain in (True, False):
        await sender.publish("r", b"x", qos=1, retain=retain)
    if away:
        client = await place.connect("me", level=5, clean=False, properties=kept, present=True)
    assert [one.retain for one in await client.pending()] == [as_published, False]
    await client.subscribe(("r", options))
    assert [one.retain for one in await client.pending()] == [True]
