"""One random session told to two brokers at once; whatever they answer has to be the same."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.broker.engines.embedded.differential_side import LONG, NAMES, TOPICS, Greeting, Side
from tests.broker.engines.embedded.raw_client import Place
from tests.broker.engines.embedded.raw_properties import (
    CONTENT_TYPE,
    CORRELATION,
    MESSAGE_EXPIRY,
    PAYLOAD_FORMAT,
    RESPONSE_TOPIC,
    SESSION_EXPIRY,
    USER_PROPERTY,
    prop,
)

FILTERS = ("#", "+", "a/#", "+/b", "a/b", "b/#", "a/+/c", "b")
QOS = st.integers(0, 2)
SMALL, LARGE = 200, 300
"""The largest packet that some clients take, and the size of a payload that is larger."""

LASTING = 0x0C
"""The options of a subscription that say what becomes of each message: no-local and retain-as-published."""

NO_LOCAL, NOTHING_RETAINED = 0x04, 0x20

NORMALLY, WITH_WILL, FOR_GOOD = b"", b"\x04\0", b"\0\x05" + prop(SESSION_EXPIRY, 0)
"""What a DISCONNECT may say."""

PASSED_ON = st.lists(
    st.sampled_from(
        (
            prop(PAYLOAD_FORMAT, 1),
            prop(MESSAGE_EXPIRY, LONG),
            prop(CONTENT_TYPE, "text/plain"),
            prop(RESPONSE_TOPIC, "answers"),
            prop(CORRELATION, b"\0\xff"),
            prop(USER_PROPERTY, ("b", "1"))
            + prop(USER_PROPERTY, ("a", ""))
            + prop(USER_PROPERTY, ("b", "0")),
        )
    ),
    max_size=3,
    unique=True,
).map(b"".join)
CLEAN = st.sampled_from([False, False, True])
GREETINGS = st.builds(Greeting, clean=CLEAN) | st.builds(
    Greeting,
    version=st.just(5),
    clean=CLEAN,
    expiry=st.sampled_from([LONG, 0xFFFFFFFF, 0]),
    aliases=st.sampled_from([0, 2]),
    largest=st.sampled_from([0, 0, SMALL]),
    will_delay=st.sampled_from([0, 0, LONG]),
    will_says=PASSED_ON,
)

Result = TypeVar("Result")


class Differential(RuleBasedStateMachine):
    """Connects, subscribes, publishes, drops and reconnects at both brokers alike, in MQTT 3.1.1 and 5."""

    sequences = 0

    def __init__(self, runner: asyncio.Runner, ours: Place, theirs: Place) -> None:
        super().__init__()
        self._runner = runner
        Differential.sequences += 1
        prefix = f"s{Differential.sequences}"
        self._sides = (Side(ours, prefix, copies=False), Side(theirs, prefix, copies=True))
        self._greetings: dict[str, Greeting] = {}
        self._lasting: dict[tuple[str, str], int] = {}
        self._count = 0

    @property
    def connected(self) -> list[str]:
        return sorted(self._greetings)

    @property
    def waiting(self) -> list[str]:
        """Those whose will does not follow at once when they are lost."""
        return [name for name in self.connected if self._greetings[name].waits_with_its_will]

    @property
    def dying(self) -> list[str]:
        """And those whose will does."""
        return [name for name in self.connected if not self._greetings[name].waits_with_its_will]

    @initialize(granted=st.tuples(QOS, QOS, QOS), greetings=st.tuples(GREETINGS, GREETINGS, GREETINGS))
    def begin(self, granted: tuple[int, int, int], greetings: tuple[Greeting, Greeting, Greeting]) -> None:
        """Each client subscribes with one QoS.

        Of overlapping filters the highest counts (MQTT-3.3.4-2; MQTT 3.1.1, 3.3.5), and so it does with us;
        Mosquitto 2.0 takes for a client of 3.1.1 that of whichever filter it finds first.
        """
        self._granted = dict(zip(NAMES, granted, strict=True))
        self._both(lambda side: side.begin())
        # Everybody listens from the beginning: most of what is left to chance would pass unheard else.
        for name, greeting in zip(NAMES, greetings, strict=True):
            self.connect(name, greeting)
            self._subscribe(name, [("#", 0)], 0)

    @rule(name=st.sampled_from(NAMES), greeting=GREETINGS)
    def connect(self, name: str, greeting: Greeting) -> None:
        """Also where it is connected: it takes itself over."""
        if name in self.connected:
            self._read(name, acknowledge=True)
        self._greetings[name] = greeting
        self._both(lambda side: side.connect(name, greeting))

    @precondition(lambda self: self.connected)
    @rule(
        data=st.data(),
        filters=st.lists(
            st.tuples(st.sampled_from(FILTERS), st.sampled_from([0, 0x04, 0x08, 0x10, 0x20, 0x1C])),
            min_size=1,
            max_size=3,
            unique_by=lambda one: one[0],
        ),
        number=st.sampled_from([0, 1, 2, 200]),
    )
    def subscribe(self, data: st.DataObject, filters: list[tuple[str, int]], number: int) -> None:
        """With no-local, retain-as-published, the ways of retained messages, and an identifier.

        A filter that a packet names twice brings what is retained once, and from Mosquitto twice.
        """
        self._subscribe(self._one_of(data, self.connected), filters, number)

    def _subscribe(self, name: str, filters: list[tuple[str, int]], number: int) -> None:
        """Anew where the options are others than before.

        A subscription takes the place of the one before it with all its options (MQTT-3.8.4-3); Mosquitto
        2.0 leaves no-local and retain-as-published as they were. With no-local, nothing is retained for the
        client: its own messages do not come then (MQTT-3.8.3-3), and from Mosquitto they do.
        """
        self._read(name, acknowledge=True)
        speaks_5 = self._greetings[name].version == 5
        wanted = []
        for one, options in filters:
            lasting = (options & LASTING) * speaks_5
            once = NOTHING_RETAINED if lasting & NO_LOCAL else options & ~LASTING
            wanted.append((one, once * speaks_5 | lasting | self._granted[name]))
            if self._lasting.setdefault((name, one), lasting) != lasting:
                self._lasting[name, one] = lasting
                self._unsubscribe(name, one)
        self._both(lambda side: side.subscribe(name, wanted, number * speaks_5))
        self._both(lambda side: side.read(name, acknowledge=True, subscribed=True))

    @precondition(lambda self: self.connected)
    @rule(data=st.data(), wanted=st.sampled_from(FILTERS))
    def unsubscribe(self, data: st.DataObject, wanted: str) -> None:
        self._unsubscribe(self._one_of(data, self.connected), wanted)

    def _unsubscribe(self, name: str, wanted: str) -> None:
        self._both(lambda side: side.unsubscribe(name, wanted))

    @precondition(lambda self: self.connected)
    @rule(
        data=st.data(),
        topic=st.sampled_from(TOPICS),
        qos=QOS,
        retain=st.booleans(),
        size=st.sampled_from([0, 1, 1, 1, LARGE]),
        alias=st.integers(0, 3),
        properties=PASSED_ON,
    )
    def publish(
        self,
        data: st.DataObject,
        topic: str,
        qos: int,
        *,
        retain: bool,
        size: int,
        alias: int,
        properties: bytes,
    ) -> None:
        payload = self._payload().rjust(size, b"0") if size else b""
        name = self._one_of(data, self.connected)
        self._publish(name, topic, payload, qos=qos, retain=retain, alias=alias, properties=properties)

    @precondition(lambda self: self.dying)
    @rule(data=st.data(), acknowledge=st.booleans())
    def drop(self, data: st.DataObject, *, acknowledge: bool) -> None:
        """After what came was read, acknowledged or not; its own last message is among that."""
        name = self._one_of(data, self.dying)
        self._read_last(name, acknowledge=acknowledge)
        del self._greetings[name]
        self._both(lambda side: side.drop(name))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), acknowledge=st.booleans(), greeting=GREETINGS)
    def come_back(self, data: st.DataObject, *, acknowledge: bool, greeting: Greeting) -> None:
        """Before the will is due: it is not sent."""
        name = self._one_of(data, self.waiting)
        self._read_last(name, acknowledge=acknowledge)
        # If a clean start ended the session, the will would be due (MQTT-3.1.2-8): Mosquitto loses it.
        greeting = self._greetings[name] = replace(greeting, clean=False)
        self._both(lambda side: side.come_back(name, greeting))

    @precondition(lambda self: self.connected)
    @rule(data=st.data(), said=st.sampled_from([NORMALLY, WITH_WILL, FOR_GOOD]))
    def disconnect(self, data: st.DataObject, said: bytes) -> None:
        name = self._one_of(data, self.connected)
        self._read(name, acknowledge=True)
        body = self._may_say(self._greetings.pop(name), said)
        self._both(lambda side: side.disconnect(name, body))

    @precondition(lambda self: self.connected)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        self._read(self._one_of(data, self.connected), acknowledge=True)

    def teardown(self) -> None:
        for name in self.connected:
            self._read(name, acknowledge=True)
        self._both(lambda side: side.end())

    def _may_say(self, greeting: Greeting, said: bytes) -> bytes:
        """What a client may say at its end; a will that waits then could be lost by Mosquitto, see above."""
        allowed = greeting.version == 5 and (said != WITH_WILL or not greeting.waits_with_its_will)
        return said if allowed else NORMALLY

    def _payload(self) -> bytes:
        self._count += 1
        return b"%d" % self._count

    def _publish(
        self,
        name: str,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool = False,
        alias: int = 0,
        properties: bytes = b"",
    ) -> None:
        if self._greetings[name].version != 5:
            alias, properties = 0, b""
        self._both(
            lambda side: side.publish(
                name, topic, payload, qos=qos, retain=retain, alias=alias, properties=properties
            )
        )

    def _read(self, name: str, *, acknowledge: bool) -> None:
        self._both(lambda side: side.read(name, acknowledge=acknowledge))

    def _read_last(self, name: str, *, acknowledge: bool) -> None:
        self._publish(name, "a", self._payload(), qos=2)
        self._read(name, acknowledge=acknowledge)

    def _one_of(self, data: st.DataObject, names: list[str]) -> str:
        return data.draw(st.sampled_from(names), label="client")

    def _both(self, step: Callable[[Side], Awaitable[Result]]) -> None:
        async def run() -> tuple[Result, Result]:
            ours, theirs = self._sides
            return await asyncio.gather(step(ours), step(theirs))

        ours, theirs = self._runner.run(run())
        assert ours == theirs, f"ours {ours}, Mosquitto's {theirs}"
