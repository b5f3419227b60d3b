"""Who may connect, publish and subscribe is asked, and an answer of no harms nobody else."""

import asyncio
import shutil
import subprocess

import pytest

from broker.engines.embedded import AllowAll, EmbeddedSettings, Login
from broker.mqtt.kinds import V5, V31, V311
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.raw_client import CONNACK, Arrived, Closed, RawClient, Will, connect_packet

OLD_ONLY = EmbeddedSettings(listen=LOOPBACK, versions=frozenset((V31, V311)))


class Doorman(AllowAll):
    """Lets in who knows the word; `secret` is for nobody."""

    def may_connect(self, login: Login) -> bool:
        return login.password in (None, b"right")

    def may_publish(self, login: Login, topic: str) -> bool:  # noqa: ARG002  # the contract's
        return topic != "secret"

    def may_subscribe(self, login: Login, filter: str) -> bool:  # noqa: ARG002
        return filter != "secret"


async def test_a_refused_subscription_fails_alone() -> None:
    async with embedded(access=Doorman()) as (_, place):
        client = await place.connect()
        assert await client.subscribe(("a", 1), ("secret", 1), ("b", 2)) == [1, 0x80, 2]
        await client.publish("b", b"x", qos=1)
        assert await client.pending() == [Arrived("b", b"x", 1)]


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_refused_publish_goes_nowhere(qos: int) -> None:
    """It is acknowledged, as MQTT 3.1.1 has no other way, and counted."""
    async with embedded(access=Doorman()) as (engine, place):
        client = await place.connect()
        await client.subscribe(("#", 2))
        await client.publish("secret", b"x", qos=qos, retain=True)
        await client.publish("open", b"x", qos=1)
        assert await client.pending() == [Arrived("open", b"x", 1)]
        assert engine.counters.dropped_denied == 1


async def test_a_will_is_asked_about_too() -> None:
    async with embedded(access=Doorman()) as (_, place):
        listener = await place.connect()
        await listener.subscribe(("#", 0))
        doomed = await place.connect("me", will=Will("secret", b"x"))
        await place.connect("me")
        assert await doomed.closed()
        assert await listener.pending() == []


@pytest.mark.parametrize("clean", [True, False])
async def test_a_wrong_password_does_nothing_to_the_session_it_names(*, clean: bool) -> None:
    """Neither to a client that is connected, nor to what waits for one that is away."""
    async with embedded(access=Doorman()) as (_, place):
        owner = await place.connect("owner", clean=False)
        await owner.subscribe(("a", 1))
        await _knock(await place.open(), clean=clean)
        await owner.publish("a", b"1", qos=1)
        assert await owner.pending() == [Arrived("a", b"1", 1)]
        await owner.disconnect()
        await _knock(await place.open(), clean=clean)
        other = await place.connect()
        await other.publish("a", b"2", qos=1)
        owner = await place.connect("owner", clean=False, present=True)
        assert await owner.pending() == [Arrived("a", b"2", 1)]


async def _knock(client: RawClient, *, clean: bool) -> None:
    client.send(connect_packet("owner", clean=clean, username="u", password="wrong"))
    assert (await client.expect(CONNACK)).body in (b"\0\4", b"\0\5")
    assert await client.closed()


async def test_mqtt_5_is_refused_in_words_that_its_clients_understand() -> None:
    """A CONNACK of MQTT 5 with reason 0x84, unsupported protocol version, where it is not served."""
    async with embedded(OLD_ONLY) as (_, place):
        client = await place.open()
        client.send(connect_packet("five", level=5))
        answer = await client.expect(CONNACK)
        assert answer.body.startswith(b"\0\x84")
        assert b"MQTT 5 is not spoken here" in answer.body
        assert await client.closed()


async def test_mqtt_3_is_refused_where_only_5_is_served() -> None:
    async with embedded(EmbeddedSettings(listen=LOOPBACK, versions=frozenset((V5,)))) as (_, place):
        client = await place.open()
        client.send(connect_packet("old"))
        assert (await client.expect(CONNACK)).body == b"\0\1"
        assert await client.closed()
        client = await place.open()
        client.send(connect_packet("new", level=5))
        assert (await client.expect(CONNACK)).body[:2] == b"\0\0"


@pytest.mark.parametrize("level", [2, 6, 3])
async def test_other_versions_are_refused_with_code_1(level: int) -> None:
    async with embedded() as (_, place):
        client = await place.open()
        client.send(connect_packet("other", level=level))
        assert (await client.expect(CONNACK)).body == b"\0\1"
        with pytest.raises(Closed):
            await client.receive()


async def test_mosquitto_pub_with_mqtt_5_ends_with_a_sentence() -> None:
    """It does not hang."""
    if shutil.which("mosquitto_pub") is None:
        pytest.skip("mosquitto_pub is not installed (Debian: apt install mosquitto-clients)")
    async with embedded(OLD_ONLY) as (_, place):
        command = ["mosquitto_pub", "-p", str(place.port), "-V", "5", "-t", "a", "-m", "x"]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            _, said = await asyncio.wait_for(process.communicate(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert process.returncode
        assert b"protocol version" in said.lower()
