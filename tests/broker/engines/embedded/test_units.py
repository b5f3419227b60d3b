"""The parts of the embedded broker by themselves, against simple models."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.filters import is_filter, matches, split_shared
from broker.contract.refusal import Refusal
from broker.engines.embedded import AllowAll, Counters, EmbeddedSettings
from broker.engines.embedded.connection import Connection
from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.message import Delivery, DeliveryStage, RoutedMessage
from broker.engines.embedded.routing.retained import LEVEL_BYTES, RetainedStore
from broker.engines.embedded.routing.trie import SubscriptionTrie
from broker.engines.embedded.sessions.grant import GRANTS
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.embedded.sessions.waiting import IDENTIFIER, OVERHEAD, QueueLimits, WaitingQueue
from broker.engines.embedded.sessions.window import Window
from broker.engines.embedded.sys_topics import SysTopics
from broker.errors import ProtocolError
from broker.mqtt.acknowledgements import Acknowledgements
from broker.mqtt.kinds import PINGREQ, PUBACK, PUBREC
from tests.broker.engines.embedded.raw_client import connect_packet, packet, publish_packet
from tests.broker.engines.embedded.unconnected import FakeWire

LEVEL = st.sampled_from(["a", "b", "", "$x"])
TOPICS = st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = (
    st.lists(st.sampled_from(["a", "b", "", "$x", "+", "#"]), min_size=1, max_size=4)
    .map("/".join)
    .filter(is_filter)
)
GREETING = connect_packet("me")


@given(
    st.lists(st.tuples(FILTERS, st.integers(0, 3), st.integers(0, 2)), max_size=20),
    st.lists(st.tuples(FILTERS, st.integers(0, 3)), max_size=10),
    TOPICS,
)
def test_the_trie_finds_what_matches(
    added: list[tuple[str, int, int]], removed: list[tuple[str, int]], topic: str
) -> None:
    """Each subscriber once, with its highest QoS."""
    trie: SubscriptionTrie[int] = SubscriptionTrie()
    model: dict[tuple[str, int], int] = {}
    for wanted, subscriber, qos in added:
        trie.add(wanted, subscriber, GRANTS[qos])
        model[wanted, subscriber] = qos
    for wanted, subscriber in [*removed, *((one, who) for one, who, _ in added[::3])]:
        trie.remove(wanted, subscriber)
        model.pop((wanted, subscriber), None)
    expected: dict[int, int] = {}
    for (wanted, subscriber), qos in model.items():
        if matches(wanted, topic):
            expected[subscriber] = max(qos, expected.get(subscriber, 0))
    assert len(trie) == len(model)
    found = trie.match(topic)
    assert {subscriber: grant.qos for subscriber, grant in found} == expected
    assert len(found) == len(expected)


@given(st.lists(st.tuples(TOPICS, st.booleans()), max_size=20), FILTERS)
def test_the_retained_store_finds_what_matches(changes: list[tuple[str, bool]], wanted: str) -> None:
    store = RetainedStore(messages=1000, bytes=1 << 20)
    model: set[str] = set()
    for topic, present in changes:
        if present:
            assert store.put(RoutedMessage(topic, b"x", qos=0, born=0.0, retain=True, sender="a"))
            model.add(topic)
        else:
            assert store.remove(topic) == (topic in model)
            model.discard(topic)
    found = [message.topic for message in store.match(wanted)]
    assert sorted(found) == sorted(topic for topic in model if matches(wanted, topic))
    assert len(store) == len(model)
    assert store.bytes == sum(1 + len(topic) + LEVEL_BYTES * (topic.count("/") + 1) for topic in model)


OWN, OTHERS = "fog/a", ("log/a", "log/b", "log/c")
PUTS = st.tuples(st.sampled_from((OWN, *OTHERS)), st.integers(1, 40), st.sampled_from(["", "me"]))


@given(st.lists(PUTS))
def test_the_retained_store_keeps_its_bounds(puts: list[tuple[str, int, str]]) -> None:
    """What the node says of itself is always kept, and counts for nobody."""
    extra = 2 * LEVEL_BYTES + len(OWN)
    store = RetainedStore(messages=2, bytes=60 + 2 * extra)
    model: dict[str, tuple[int, bool]] = {}
    for topic, size, sender in puts:
        own = topic == OWN and not sender
        after = {**model, topic: (size, own)}
        sizes = [size for size, own in after.values() if not own]
        fits = own or (len(sizes) <= 2 and sum(sizes) <= 60 + extra * (2 - len(sizes)))
        assert (
            store.put(RoutedMessage(topic, bytes(size), qos=0, born=0.0, retain=True, sender=sender)) == fits
        )
        model = after if fits else model
    sizes = [size for size, own in model.values() if not own]
    assert store.bytes == sum(sizes) + extra * len(sizes)
    assert len(store) == len(model)


def test_deep_topics_take_their_room_in_the_retained_store() -> None:
    """Each makes levels that no other message uses, and these take more memory than its payload."""
    store, kept = RetainedStore(messages=10_000, bytes=1 << 20), 0
    while store.put(RoutedMessage(f"{kept}/" + "a/" * 30, b"x", qos=0, born=0.0, retain=True, sender="me")):
        kept += 1
    assert kept == (1 << 20) // (32 * LEVEL_BYTES + 66)


def entry(payload: bytes = b"x", qos: int = 1, identifiers: tuple[int, ...] = ()) -> Delivery:
    message = RoutedMessage("t", payload, qos=qos, born=0.0)
    return Delivery(message, qos, retain=False, identifiers=identifiers)


def test_a_queue_refuses_what_has_no_room() -> None:
    queue = WaitingQueue(QueueLimits(messages=3, bytes=2 * OVERHEAD + 10, age=1.0))
    assert queue.put(entry(b"1234"))
    assert not queue.put(entry(bytes(20)))
    assert queue.put(entry(b"123456"))
    assert not queue.put(entry(b""))
    assert queue.put(entry(bytes(99)), beyond=1)
    assert not queue.too_old(entry(), 1.0)
    assert queue.too_old(entry(), 1.1)
    assert [len(queue.take().message.payload) for _ in range(3)] == [4, 6, 99]
    assert queue.put(entry(b"1234"))


def test_the_identifiers_of_subscriptions_take_room_in_a_queue() -> None:
    many = tuple(range(100))
    queue = WaitingQueue(QueueLimits(messages=3, bytes=2 * OVERHEAD + 100 * IDENTIFIER + 1, age=1.0))
    assert queue.put(entry(b"", identifiers=many))
    assert not queue.put(entry(b"", identifiers=many))
    assert queue.put(entry(b"x"))
    for _ in range(2):
        queue.take()
    assert queue.put(entry(b"", identifiers=many))
    assert queue.put(entry(b"x"))


def test_a_window_gives_no_identifier_twice() -> None:
    """Also after the last one, where it begins again with 1."""
    window = Window(3)
    held = entry()
    window.add(held)
    seen = []
    for _ in range(65_536):
        one = entry()
        window.add(one)
        assert one.packet_id != held.packet_id
        assert window.acknowledged(one.packet_id) is one
        seen.append(one.packet_id)
    assert 0 not in seen
    assert max(seen) == 65_535


def test_a_window_hears_only_what_fits_the_stage() -> None:
    window = Window(3)
    once, twice = entry(qos=1), entry(qos=2)
    for one in (once, twice):
        window.add(one)
    for hear in (window.completed, window.received, window.refused):
        with pytest.raises(ProtocolError):
            hear(once.packet_id)
    for hear in (window.acknowledged, window.completed):
        with pytest.raises(ProtocolError):
            hear(twice.packet_id)
    assert window.received(twice.packet_id) is twice
    assert twice.stage is DeliveryStage.RELEASED
    assert window.received(twice.packet_id) is None
    assert window.completed(twice.packet_id) is twice
    assert window.acknowledged(once.packet_id) is once
    assert len(window) == 0
    for hear in (window.acknowledged, window.received, window.refused, window.completed):
        assert hear(once.packet_id) is None


@pytest.mark.parametrize(
    ("filter", "parts"),
    [
        ("$share/g/a/b", ("g", "a/b")),
        ("$share/g//", ("g", "/")),
        ("$share/g/", None),
        ("$share/g", None),
        ("$share//a", None),
        ("$share/+/a", None),
    ],
)
def test_a_shared_filter_is_parted(filter: str, parts: tuple[str, str] | None) -> None:
    assert split_shared(filter) == parts


async def test_acknowledgements_leave_in_order() -> None:
    sent: list[object] = []
    acks = Acknowledgements(
        lambda kind, packet_id, refusal: sent.append((kind, packet_id, refusal)),
        lambda: sent.append("failed"),
    )
    no = Refusal(0x97, "too much")
    futures = [asyncio.get_running_loop().create_future() for _ in range(3)]
    for number, future in enumerate(futures):
        acks.add(future, PUBACK, number + 1)
    acks.add(no, PUBREC, 9)
    futures[1].set_result(no)
    futures[0].set_result(None)
    await asyncio.sleep(0)
    assert sent == [(PUBACK, 1, None), (PUBACK, 2, no)]
    futures[2].set_exception(OSError())
    await asyncio.sleep(0)
    assert sent == [(PUBACK, 1, None), (PUBACK, 2, no), "failed"]


def test_what_is_known_at_once_is_acknowledged_at_once() -> None:
    sent: list[object] = []
    acks = Acknowledgements(lambda *one: sent.append(one), lambda: None)
    no = Refusal(0x97, "too much")
    acks.add(None, PUBACK, 1)
    acks.add(no, PUBREC, 2)
    assert sent == [(PUBACK, 1, None), (PUBREC, 2, no)]
    assert not len(acks)


def new_core(settings: EmbeddedSettings | None = None) -> BrokerCore:
    def zero() -> float:
        return 0.0

    return BrokerCore(settings or EmbeddedSettings(), AllowAll(), SessionStore(), running=zero, clock=zero)


def test_a_client_that_takes_no_answers_is_read_no_further() -> None:
    """Else a flood of pings would fill the broker's memory with answers."""
    wire = FakeWire()
    connection = Connection(new_core(EmbeddedSettings(buffer_bytes=100)), wire)
    connection.feed(GREETING, 0.0)
    wire.congested = True
    connection.feed(packet(PINGREQ) * 40, 0.0)
    assert not wire.held
    connection.feed(packet(PINGREQ) * 40, 0.0)
    assert wire.held
    wire.congested = False
    connection.writable()
    assert not wire.held


def test_keepalive_is_one_and_a_half_times_what_was_agreed() -> None:
    wire = FakeWire()
    connection = Connection(new_core(), wire)
    assert connection.overdue(10.1)
    connection.feed(connect_packet("me", keepalive=10), 5.0)
    assert not connection.overdue(20.0)
    assert connection.overdue(20.1)
    connection.feed(packet(PINGREQ), 20.0)
    assert not connection.overdue(35.0)


def test_the_broker_tells_of_itself_under_the_usual_names() -> None:
    """Retained, and only what has changed is told again."""
    core = new_core()
    wire = FakeWire()
    connection = Connection(core, wire)
    connection.feed(GREETING + publish_packet("a", b"xyz", qos=1, retain=True), 0.0)
    topics = SysTopics(core, now=0.0)
    topics.say(60.0)
    said = {
        one.topic.removeprefix("$SYS/broker/"): one.payload for one in core.router.retained.match("$SYS/#")
    }
    assert said["version"].startswith(b"weighbridge version ")
    assert said["uptime"] == b"60 seconds"
    assert said["retained messages/count"] == b"1"
    for name in (
        *("clients/connected", "clients/total", "clients/maximum"),
        *("publish/messages/received",),
    ):
        assert said[name] == b"1", name
    for name in ("messages/received", "messages/sent"):
        assert said[name] == b"2", name
    for name in ("publish/messages/dropped", "subscriptions/count", "publish/messages/sent"):
        assert said[name] == b"0", name
    assert int(said["bytes/received"]) > 20
    assert float(said["load/messages/received/1min"]) > 1.0
    before = {one.topic: one for one in core.router.retained.match("$SYS/#")}
    topics.say(61.0)
    changed = {one.topic for one in core.router.retained.match("$SYS/#") if before[one.topic] is not one}
    assert "$SYS/broker/uptime" in changed
    assert "$SYS/broker/version" not in changed


def test_every_drop_counts_in_the_sum() -> None:
    counters = Counters(dropped_full=1, dropped_slow=2, dropped_denied=4)
    assert counters.dropped == 7
    assert counters.drops()["slow"] == 2
