"""What a client subscribes to, and which copies it takes, at brokers that send one for each filter."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from broker.client import ClientSettings, Subscriptions
from broker.contract.filters import matches, unshared
from broker.contract.message import Message
from broker.mqtt.kinds import SEND_IF_NEW, SEND_NONE, V5, V311
from broker.mqtt.packets import Connack, Publish, Suback, Subscribe, Subscription, Unsuback, Unsubscribe

LIVE = ClientSettings(client_id="me", live=True)
LEVELS = st.sampled_from(["a", "b", "+"])
FILTERS = st.builds(
    lambda levels, rest, group: group + "/".join([*levels, *rest]),
    st.lists(LEVELS, min_size=1, max_size=3),
    st.sampled_from([[], ["#"]]),
    st.sampled_from(["", "", "$share/cloud/"]),
)
SEVERAL = st.lists(FILTERS, unique=True, max_size=6)
UNSHARED = st.lists(FILTERS.map(unshared), unique=True, max_size=6)
TOPICS = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join)


class Broker:
    """Keeps the session of one client, and sends it a copy for each filter, as Mosquitto does with MQTT 5."""

    def __init__(self, *, refuses: Iterable[str] = ()) -> None:
        self.subscribed: dict[str, tuple[int, Subscription]] = {}
        self.packets: list[Any] = []
        self._refuses = set(refuses)

    def greet(self, client: Subscriptions, *, version: int = V5, identifiers: bool = True) -> None:
        client.begin(Connack(subscription_ids=identifiers), version)
        self.hear(client)

    def hear(self, client: Subscriptions) -> list[str]:
        """Hear all that it wants; returns what is refused."""
        refused = []
        while packets := client.next():
            self.packets += packets
            for packet in packets:
                refused += client.answered(self._take(packet))
        assert not client.answers_due
        return refused

    def _take(self, packet: Subscribe | Unsubscribe) -> Suback | Unsuback:
        if isinstance(packet, Unsubscribe):
            for gone in packet.filters:
                self.subscribed.pop(gone, None)
            return Unsuback(packet.packet_id)
        for one in packet.wanted:
            if one.filter not in self._refuses:
                _, options = self.subscribed.get(one.filter, (0, one))
                # As Mosquitto 2.0.11 replaces a subscription.
                kept = replace(one, retain_as_published=options.retain_as_published)
                self.subscribed[one.filter] = packet.subscription_id, kept
        return Suback(
            packet.packet_id, bytes(0x87 if one.filter in self._refuses else 2 for one in packet.wanted)
        )

    def copies(self, topic: str, *, retain: bool = False, replay: bool = False) -> list[Publish]:
        """What the client is sent of a message that is published now, or that was retained before."""
        return [
            Publish(
                topic,
                b"x",
                retain=replay or (retain and one.retain_as_published),
                subscription_ids=(number,) if number else (),
            )
            for number, one in self.subscribed.values()
            if matches(unshared(one.filter), topic)
            and not (replay and (one.retain_handling == SEND_NONE or unshared(one.filter) != one.filter))
        ]


def taken(client: Subscriptions, copies: Iterable[Publish]) -> list[Message]:
    return [message for one in copies if (message := client.message(one)) is not None]


def expected(filters: Sequence[str], topic: str) -> int:
    return int(any(matches(unshared(one), topic) for one in filters))


@given(SEVERAL, SEVERAL, TOPICS, st.booleans())
@example(["+/b", "a/+"], ["#"], "a/b", False)
def test_each_message_is_taken_once(
    filters: list[str], retained: list[str], topic: str, retain: bool
) -> None:
    """However many filters it matches, and whether or not its publisher wants it retained."""
    client, broker = Subscriptions(LIVE, [*filters, *retained], retained), Broker()
    broker.greet(client)
    found = taken(client, broker.copies(topic, retain=retain))
    assert len(found) == expected([*filters, *retained], topic)
    assert not any(one.replayed for one in found)


@given(SEVERAL, SEVERAL, TOPICS)
def test_a_replay_is_taken_once_where_it_is_wanted(
    filters: list[str], retained: list[str], topic: str
) -> None:
    client, broker = Subscriptions(LIVE, [*filters, *retained], retained), Broker()
    broker.greet(client)
    found = taken(client, broker.copies(topic, replay=True))
    assert len(found) == expected([one for one in retained if unshared(one) == one], topic)
    assert all(one.replayed for one in found)


@given(SEVERAL, SEVERAL, TOPICS)
def test_what_is_retained_may_be_wanted_later_and_no_more(
    filters: list[str], retained: list[str], topic: str
) -> None:
    client, broker = Subscriptions(LIVE, [*filters, *retained]), Broker()
    broker.greet(client)
    for wanted in (retained, filters):
        client.hear([*filters, *retained], wanted)
        broker.hear(client)
        found = taken(client, broker.copies(topic, retain=True))
        assert [one.replayed for one in found] == [False] * expected([*filters, *retained], topic)


@given(UNSHARED, UNSHARED, UNSHARED, TOPICS)
def test_what_was_queued_before_a_change_is_taken_once_after_it(
    before: list[str], after: list[str], retained: list[str], topic: str
) -> None:
    """Where a filter that it matches is still wanted, in this life or in the next one."""
    numbers: dict[str, int] = {}

    def keep(latest: Mapping[str, int]) -> None:
        numbers.clear()
        numbers.update(latest)

    client, broker = Subscriptions(LIVE, before, keep=keep), Broker()
    broker.greet(client)
    queued = broker.copies(topic)
    kept = {*before} & {*after}
    client.hear(after, [one for one in retained if one in after and one not in kept])
    broker.hear(client)
    assert {*broker.subscribed} == {*after} == {*numbers}
    again = Subscriptions(LIVE, after, known=numbers)
    Broker().greet(again)
    for life in (client, again):
        assert len(taken(life, queued)) >= expected(tuple(kept), topic)
        if {*before} <= {*after}:
            assert len(taken(life, queued)) == expected(before, topic)


def test_filters_of_an_earlier_life_are_given_up() -> None:
    broker = Broker()
    broker.subscribed["old/#"] = 2, Subscription("old/#", 2)
    kept: list[dict[str, int]] = []
    client = Subscriptions(LIVE, ["new"], known={"old/#": 2}, keep=lambda numbers: kept.append(dict(numbers)))
    broker.greet(client)
    assert {*broker.subscribed} == {"new"}
    assert kept == [{"old/#": 2, "new": 2}, {"new": 2}]


def test_what_was_retained_is_asked_for_once_in_a_life() -> None:
    """But what belongs to the settings comes with each connection; what is live never does."""
    settings = ClientSettings(client_id="me", live=True, kept=("state",))
    client, broker = Subscriptions(settings, ["live", "state", "once"], ["once"]), Broker()
    handling: list[dict[str, int]] = []
    for _ in range(2):
        broker.greet(client)
        handling.append({name: one.retain_handling for name, (_, one) in broker.subscribed.items()})
    assert handling == [
        {"live": SEND_NONE, "state": 0, "once": 0},
        {"live": SEND_NONE, "state": 0, "once": SEND_IF_NEW},
    ]
    client.hear(["live", "state"])
    broker.hear(client)
    client.hear(["live", "state", "once"], ["once"])
    broker.hear(client)
    assert broker.subscribed["once"][1].retain_handling == 0


def test_a_broker_without_identifiers_gets_none() -> None:
    client, broker = Subscriptions(LIVE, ["a/+", "+/b"], ["a/+"]), Broker()
    broker.greet(client, identifiers=False)
    assert [packet.subscription_id for packet in broker.packets] == [0]
    assert [one.replayed for one in taken(client, broker.copies("a/b", replay=True))] == [True]


def test_before_mqtt_5_a_replay_is_known_by_its_flag() -> None:
    client, broker = Subscriptions(LIVE, ["a", "b"], ["b"]), Broker()
    broker.greet(client, version=V311)
    assert [packet.wanted for packet in broker.packets] == [(Subscription("a", 2), Subscription("b", 2))]
    assert taken(client, [Publish("a", b"", retain=True)]) == []
    assert taken(client, [Publish("b", b"", retain=True), Publish("a", b"")]) == [
        Message(topic="b", payload=b"", replayed=True),
        Message(topic="a", payload=b""),
    ]


def test_many_filters_go_in_packets_that_brokers_take() -> None:
    client, broker = Subscriptions(LIVE, [f"a/{number}" for number in range(1_000)]), Broker()
    broker.greet(client)
    assert [len(packet.wanted) for packet in broker.packets] == [200] * 5
    client.hear(["b"])
    broker.hear(client)
    assert {*broker.subscribed} == {"b"}


def test_what_is_refused_is_known_until_it_is_not_wanted() -> None:
    client, broker = Subscriptions(LIVE, ["a", "b"]), Broker(refuses=["b"])
    client.begin(Connack(), V5)
    assert broker.hear(client) == ["b"]
    assert client.refused == {"b"}
    client.hear(["a"])
    assert client.refused == set()


def test_a_filter_of_one_s_own_comes_before_those_shared_with_others() -> None:
    """Whatever came first: another member of the group may get the copies of the shared one."""
    client, broker = Subscriptions(LIVE, ["$share/cloud/#", "a/#"]), Broker()
    broker.greet(client)
    shared, own = broker.copies("a/b")
    assert taken(client, [shared]) == []
    assert len(taken(client, [own])) == 1
