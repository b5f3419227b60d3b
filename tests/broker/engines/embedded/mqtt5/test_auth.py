"""There are no authentication methods of MQTT 5 here, and a client is told so."""

import pytest

from tests.broker.engines.embedded.mqtt5.endings import cut_off, refused
from tests.broker.engines.embedded.raw_client import CONNECT, Place, packet, sized, text
from tests.broker.engines.embedded.raw_properties import prop, props

AUTH = 15
METHOD, DATA = 0x15, 0x16


@pytest.mark.parametrize("proof", [b"", prop(DATA, b"n,,n=ann,r=1")])
async def test_an_authentication_method_is_refused(place: Place, proof: bytes) -> None:
    """Though there are a user name and a password beside it; what comes behind it counts for nothing."""
    named = sized(prop(METHOD, "SCRAM-SHA-1") + proof)
    client = await place.open()
    client.send(
        packet(CONNECT, text("MQTT") + b"\x05\xc2\0\x3c" + named + text("me") + text("ann") + text("secret"))
        + packet(AUTH, b"\x18" + named)
    )
    assert await refused(client) == 0x8C


@pytest.mark.parametrize(
    "auth", [packet(AUTH), packet(AUTH, b"\0\0"), packet(AUTH, b"\x19" + sized(prop(METHOD, "SCRAM-SHA-1")))]
)
async def test_without_a_method_there_is_no_auth(place: Place, auth: bytes) -> None:
    client = await place.connect(level=5)
    assert {METHOD, DATA}.isdisjoint(dict(props(client.welcome)))
    client.send(auth)
    assert await cut_off(client) == 0x82
