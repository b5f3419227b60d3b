"""A client on the event loop, a link and the external engine, against a real Mosquitto."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from broker.client import BusClient, ClientSettings
from broker.contract.message import Message
from broker.contract.refusal import Refusal, Taken
from broker.contract.url import BrokerUrl
from broker.engines.external import ExternalEngine
from broker.errors import EngineUnavailable, LinkFull, PublishRefused, SettingsError
from broker.links.link import Link
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.proxy import Proxy


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """One that keeps its sessions over a restart."""
    with Mosquitto(tmp_path, "persistence true", f"persistence_location {tmp_path}/") as broker:
        yield broker


class Inbox:
    """A receiver that keeps what it is handed, and stores it when told to."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.messages: list[Message] = []
        self.stored: list[asyncio.Future[None]] = []
        self._at_once = at_once

    def __call__(self, message: Message) -> asyncio.Future[None] | None:
        self.messages.append(message)
        if self._at_once:
            return None
        self.stored.append(asyncio.get_running_loop().create_future())
        return self.stored[-1]

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]


@pytest.fixture
async def engine(mosquitto: Mosquitto) -> AsyncIterator[ExternalEngine]:
    engine = ExternalEngine(mosquitto.url, node="n")
    yield engine
    await engine.stop()


@pytest.fixture
async def link(mosquitto: Mosquitto) -> AsyncIterator[Link]:
    link = Link(mosquitto.url, node="n", queued=3)
    yield link
    await link.stop()


async def test_messages_come_in_with_their_mqtt5_properties(engine: ExternalEngine, link: Link) -> None:
    inbox = Inbox()
    await engine.start(inbox, ["in/#"])
    link.start(Inbox(), [])
    await link.wait_connected()
    await link.send("in/1", b"x")
    await eventually(lambda: inbox.messages)
    assert inbox.messages == [Message(topic="in/1", payload=b"x", qos=1)]
    assert engine.connected


async def test_an_acknowledgement_waits_for_the_receiver(mosquitto: Mosquitto) -> None:
    """What was not stored when the connection ended comes again; what was stored does not."""
    sender = Link(mosquitto.url, node="sender")
    sender.start(Inbox(), [])
    first_inbox = Inbox(at_once=False)
    first = ExternalEngine(mosquitto.url, node="n")
    await first.start(first_inbox, ["in/#"])
    for payload in (b"stored", b"not stored"):
        await sender.send("in/1", payload)
    await eventually(lambda: len(first_inbox.messages) == 2)
    first_inbox.stored[0].set_result(None)
    await asyncio.sleep(0)
    await first.stop()
    again = Inbox()
    second = ExternalEngine(mosquitto.url, node="n")
    await second.start(again, ["in/#"])
    await eventually(lambda: again.messages)
    assert again.payloads == [b"not stored"]
    await second.stop()
    await sender.stop()


async def test_what_the_receiver_refuses_does_not_come_again(mosquitto: Mosquitto) -> None:
    """A client has no way to tell the broker, and its publisher hears of it by an outcome."""
    refusal = Refusal(0x97, "try later")
    later: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()
    heard, answers = list[Message](), list[Taken]([refusal, later, refusal])

    def refuse(message: Message) -> Taken:
        heard.append(message)
        return answers.pop(0) if answers else None

    client = BusClient(mosquitto.url, ClientSettings(client_id="n"))
    client.start(refuse, ["in/#"])
    await client.wait_connected(10)
    await asyncio.gather(*(client.publish(Message(topic=f"in/{n}", payload=b"", qos=n)) for n in (1, 1, 2)))
    await eventually(lambda: len(heard) == 3)
    later.set_result(refusal)
    mosquitto.stop()
    await eventually(lambda: not client.connected)
    mosquitto.start()
    await client.publish(Message(topic="in/last", payload=b"", qos=1))
    await eventually(lambda: len(heard) > 3)
    assert [one.topic for one in heard[3:]] == ["in/last"]
    await client.stop()


async def test_what_the_broker_may_never_take_is_told_apart_from_what_it_cannot_take_now(
    tmp_path: Path,
) -> None:
    """And nothing behind it waits."""
    rules = tmp_path / "rules"
    rules.write_text("topic readwrite open/#\n", "utf-8")
    # Started as root it would take the rights of a user who may not read the rules.
    lines = ("user root", f"acl_file {rules}", "message_size_limit 100")
    with Mosquitto(tmp_path, *lines) as mosquitto:
        client = BusClient(mosquitto.url, ClientSettings(client_id="n"))
        client.start(Inbox(), [])
        messages = [("shut/1", b""), ("open/1", b"x" * 200), ("open/1", b"x")]
        sent = [client.publish(Message(topic=topic, payload=said, qos=1)) for topic, said in messages]
        denied, large, taken = await asyncio.gather(*sent, return_exceptions=True)
        await client.stop()
    assert isinstance(denied, PublishRefused)
    assert str(denied) == "the broker refused a message: not authorised"
    assert isinstance(large, PublishRefused)
    assert taken is None


async def test_what_is_sent_while_the_broker_is_away_arrives_in_order(
    link: Link, mosquitto: Mosquitto
) -> None:
    inbox = Inbox()
    link.start(inbox, ["out/#"])
    await link.wait_connected()
    mosquitto.stop()
    await eventually(lambda: not link.connected)
    sent = [link.send("out/1", str(number).encode()) for number in range(3)]
    assert not any(one.done() for one in sent)
    mosquitto.start()
    async with asyncio.timeout(30):
        await asyncio.gather(*sent)
    await eventually(lambda: len(inbox.messages) == 3)
    assert inbox.payloads == [b"0", b"1", b"2"]


async def test_a_link_keeps_no_more_than_its_bound(link: Link, mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    link.start(Inbox(), [])
    for number in range(3):
        link.send("out/1", str(number).encode())
    with pytest.raises(LinkFull, match="3 messages wait"):
        link.send("out/1", b"3")


async def test_a_link_hears_what_was_sent_to_it_while_it_was_away(mosquitto: Mosquitto) -> None:
    first = Link(mosquitto.url, node="n")
    first.start(Inbox(), ["in/#"])
    await first.wait_connected()
    # The subscription is made once a message has come back over it.
    inbox = Inbox()
    await first.send("in/0", b"0")
    await first.stop()
    other = Link(mosquitto.url, node="other")
    other.start(Inbox(), [])
    await other.wait_connected()
    await other.send("in/1", b"1")
    second = Link(mosquitto.url, node="n")
    second.start(inbox, ["in/#"])
    await eventually(lambda: b"1" in inbox.payloads)
    await second.stop()
    await other.stop()


async def test_what_comes_after_the_pause_is_for_the_next_life(
    engine: ExternalEngine, link: Link, mosquitto: Mosquitto
) -> None:
    first, second = Inbox(), Inbox()
    await engine.start(first, ["in/#"])
    link.start(Inbox(), [])
    await link.send("in/before", b"before")
    await eventually(lambda: first.payloads == [b"before"])
    await engine.pause()
    for number in range(50):
        await link.send(f"in/{number}", b"%d" % number)
    await engine.stop()
    await link.send("in/away", b"away")
    next_life = ExternalEngine(mosquitto.url, node="n")
    await next_life.start(second, ["in/#"])
    await eventually(lambda: second.payloads == [*(b"%d" % number for number in range(50)), b"away"])
    await next_life.stop()
    assert first.payloads == [b"before"]


async def test_whoever_shares_a_subscription_leaves_it_without_taking_anything_along(
    mosquitto: Mosquitto, link: Link
) -> None:
    leaver, stayer = (ExternalEngine(mosquitto.url, node=name, persistent=False) for name in "ab")
    left, stayed = Inbox(), Inbox()
    await leaver.start(left, ["$share/cloud/in/#"])
    await stayer.start(stayed, ["$share/cloud/in/#"])
    link.start(Inbox(), [])
    await link.wait_connected()

    async def send() -> None:
        for number in range(500):
            await link.send(f"in/{number}", b"%d" % number)

    sending = asyncio.create_task(send())
    await eventually(lambda: left.payloads)
    await leaver.pause()
    await leaver.stop()
    assert not sending.done()
    await sending
    await eventually(lambda: len(left.payloads) + len(stayed.payloads) == 500)
    assert sorted(map(int, left.payloads + stayed.payloads)) == list(range(500))
    await stayer.stop()


async def test_a_will_is_left_by_death_and_not_by_leaving(mosquitto: Mosquitto) -> None:
    inbox = Inbox()
    watcher = Link(mosquitto.url, node="watcher")
    watcher.start(inbox, ["will/#"])
    await watcher.wait_connected()
    leaving, dying = (
        ClientSettings(client_id=name, will=Message(topic=f"will/{name}", payload=b"gone", qos=1))
        for name in ("leaving", "dying")
    )
    client = BusClient(mosquitto.url, leaving)
    client.start(Inbox(), [])
    await client.wait_connected(5)
    await client.stop()
    async with Proxy(mosquitto.port) as wire:
        client = BusClient(wire.url, dying)
        client.start(Inbox(), [])
        await client.wait_connected(5)
        wire.cut()
        await eventually(lambda: inbox.messages)
        await client.stop()
    assert [message.topic for message in inbox.messages] == ["will/dying"]
    await watcher.stop()


async def test_a_broker_that_does_not_answer_is_told_in_a_sentence() -> None:
    engine = ExternalEngine("mqtt://127.0.0.1:1", node="n", connect_timeout=0.5)
    with pytest.raises(EngineUnavailable, match=r"127\.0\.0\.1:1 within 0\.5 s"):
        await engine.start(Inbox(), [])
    with pytest.raises(EngineUnavailable, match="is away"):
        engine.publish(Message(topic="a", payload=b""))
    await engine.stop()


async def test_stopping_twice_does_nothing(link: Link) -> None:
    link.start(Inbox(), [])
    await link.stop()
    await link.stop()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://host", BrokerUrl("host", 1883)),
        ("mqtts://host", BrokerUrl("host", 8883, tls=True)),
        ("mqtt://me:p%40ss@host:1", BrokerUrl("host", 1, username="me", password="p@ss")),
        ("mqtt://[::1]:1884", BrokerUrl("::1", 1884)),
    ],
)
def test_urls(url: str, expected: BrokerUrl) -> None:
    assert BrokerUrl.parse(url) == expected


@pytest.mark.parametrize(
    "url", ["host:1883", "http://host", "mqtt://", "mqtt://host:port", "mqtt://host:99999"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="broker URL"):
        BrokerUrl.parse(url)
