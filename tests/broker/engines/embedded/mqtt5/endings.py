"""How connections end: what the broker says last."""

from broker.mqtt.reasons import CODES
from tests.broker.engines.embedded.raw_client import CONNACK, DISCONNECT, Closed, Packet, RawClient, unsized
from tests.broker.engines.embedded.raw_properties import Value, props


async def all_that_comes(client: RawClient) -> list[Packet]:
    """All packets until the broker closes."""
    found = []
    while True:
        try:
            found.append(await client.receive())
        except Closed:
            return found


async def refused(client: RawClient) -> int:
    """The reason of a CONNACK behind which nothing comes but the end."""
    [answer] = await all_that_comes(client)
    assert answer.kind == CONNACK
    assert answer.body[0] == 0
    assert answer.body[1] in CODES[CONNACK]
    assert {kind for kind, _ in props(unsized(answer.body[2:])[0])} <= {0x1F}
    return answer.body[1]


async def cut_off(client: RawClient) -> int:
    """The reason of a DISCONNECT behind which nothing comes but the end."""
    [answer] = await all_that_comes(client)
    return reason_of(answer)


def reason_of(answer: Packet) -> int:
    """The reason of a DISCONNECT, which has a sentence beside it at most."""
    assert answer.kind == DISCONNECT
    reason = answer.body[0] if answer.body else 0
    assert reason in CODES[DISCONNECT]
    assert {kind for kind, _ in said_in(answer.body[1:])} <= {0x1F}
    return reason


def said_in(rest: bytes) -> list[tuple[int, Value]]:
    """The properties at the end of a packet, which may be left out."""
    return props(unsized(rest)[0]) if rest else []
