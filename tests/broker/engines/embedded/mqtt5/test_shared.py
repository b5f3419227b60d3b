"""How the members of a group of MQTT 5 share its messages."""

import pytest

from tests.broker.engines.embedded.raw_client import (
    DISCONNECT,
    PUBACK,
    PUBLISH,
    PUBREC,
    Arrived,
    Place,
    RawClient,
    packet,
    text,
)
from tests.broker.engines.embedded.raw_properties import (
    RECEIVE_MAXIMUM,
    SESSION_EXPIRY,
    SUBSCRIPTION_ID,
    prop,
    props,
)

KEPT = prop(SESSION_EXPIRY, 100)
GROUP = "$share/g/a"


async def members(place: Place, *granted: int, properties: bytes = KEPT) -> list[RawClient]:
    """The members of a group, which are called by their number."""
    found = []
    for number, qos in enumerate(granted):
        member = await place.connect(f"{number}", level=5, properties=properties)
        assert await member.subscribe((GROUP, qos)) == [qos]
        found.append(member)
    return found


async def test_each_member_gets_the_qos_it_was_granted(place: Place) -> None:
    group = await members(place, 0, 1, 2)
    sender = await place.connect(level=5)
    for _ in range(6):
        await sender.publish("a", b"x", qos=2)
    assert [[one.qos for one in await member.pending()] for member in group] == [[0, 0], [1, 1], [2, 2]]


async def test_a_new_member_gets_nothing_that_is_retained(place: Place) -> None:
    """Whatever its retain handling."""
    client = await place.connect(level=5)
    await client.publish("a", b"x", qos=1, retain=True)
    for options in (0x01, 0x11, 0x21):
        await client.subscribe((GROUP, options))
        assert await client.pending() == []


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_qos_2_message_stays_with_the_member_it_was_sent_to(place: Place, comes_back: bool) -> None:
    """Until that has it, or its session has ended: nobody else gets it then."""
    first, second = await members(place, 2, 2)
    sender = await place.connect(level=5)
    await sender.publish("a", b"1", qos=2)
    await sender.publish("a", b"2", qos=2)
    sent = await first.expect(PUBLISH)
    mine = first.read_publish(sent).payload
    await second.pending()
    first.drop()
    first = await place.connect("0", level=5, clean=not comes_back, properties=KEPT, present=comes_back)
    assert await first.pending() == comes_back * [Arrived("a", mine, 2, dup=True)]
    await sender.publish("a", b"3", qos=2)
    assert mine not in [one.payload for one in await second.pending()]


@pytest.mark.parametrize(("qos", "kind"), [(1, PUBACK), (2, PUBREC)])
async def test_a_message_that_a_member_refuses_goes_to_no_other(place: Place, qos: int, kind: int) -> None:
    """Nor does it come again."""
    group = await members(place, qos, qos)
    sender = await place.connect(level=5)
    for _ in range(2):
        await sender.publish("a", b"x", qos=qos)
    refused, taken = group
    refused.send_ack(kind, (await refused.expect(PUBLISH)).packet_id, 0x80)
    assert await refused.ping() == []
    assert len(await taken.pending()) == 1
    refused.drop()
    refused = await place.connect("0", level=5, clean=False, properties=KEPT, present=True)
    assert await refused.pending() == []
    assert await taken.pending() == []


async def test_a_copy_for_a_group_carries_the_identifier_of_its_subscription(place: Place) -> None:
    """And the copy of a client's other filters theirs."""
    client = await place.connect(level=5)
    for number, wanted in enumerate(("a", "+", GROUP, "$share/h/a"), 1):
        await client.subscribe((wanted, 1), properties=prop(SUBSCRIPTION_ID, number))
    await client.publish("a", b"x", qos=1)
    found = [sorted(value for _, value in props(one.properties)) for one in await client.pending()]
    assert sorted(found) == [[1, 2], [3], [4]]


async def test_what_one_member_has_no_room_for_goes_to_another(place: Place) -> None:
    full, free = await members(place, 1, 1, properties=prop(RECEIVE_MAXIMUM, 2))
    sender = await place.connect(level=5)
    # The one acknowledges nothing.
    taken = 0
    for number in range(10):
        await sender.publish("a", b"%d" % number, qos=1)
        taken += len(await free.pending())
    assert (len(await full.ping()), taken) == (2, 8)


async def test_a_group_has_all_messages_while_members_come_and_go(place: Place) -> None:
    """Each once, as long as all of them go in good order."""
    members_, sender = await members(place, 1, 1, 1), await place.connect(level=5)
    came: list[bytes] = []
    for number in range(30):
        await sender.publish("a", b"%d" % number, qos=1)
        for member in members_:
            came += [one.payload for one in await member.pending()]
        if number in (9, 19):
            await members_.pop().unsubscribe(GROUP)
    assert came == [b"%d" % number for number in range(30)]


async def test_a_group_is_not_to_be_without_its_own_messages(place: Place) -> None:
    client = await place.connect(level=5)
    client.send(packet(8, b"\0\1\0" + text(GROUP) + b"\x05", flags=2))
    assert (await client.expect(DISCONNECT)).body[:1] == b"\x82"
    assert await client.closed()
