"""The broker without its sockets: what every connection of it works with."""

from collections.abc import Callable

import structlog

from broker.contract.refusal import Refusal, Taken
from broker.engines.embedded.access import Access, Login
from broker.engines.embedded.counters import Counters
from broker.engines.embedded.routing.retained import RetainedStore
from broker.engines.embedded.routing.router import Router, Sender
from broker.engines.embedded.sessions.given import SessionDefaults
from broker.engines.embedded.sessions.names import client_of, user_of
from broker.engines.embedded.sessions.overflow import Overflow, OverflowLimits
from broker.engines.embedded.sessions.sessions import Sessions
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.embedded.sessions.waiting import QueueLimits
from broker.engines.embedded.sessions.will import LastWill
from broker.engines.embedded.sessions.wills import Wills
from broker.engines.embedded.settings import EmbeddedSettings
from broker.errors import ProtocolError
from broker.mqtt.fields import check_name
from broker.mqtt.packets import Publish
from broker.mqtt.reasons import Reason

log = structlog.get_logger()

DENIED = Refusal(Reason.NOT_AUTHORIZED, "you may not publish there")
"""What a client of MQTT 5 hears; the others have no answer but that all is well, or a closed connection."""

LOGGED = 200
"""Characters of a client's words that reach the log."""


class BrokerCore:
    """Sessions and routing, with the settings and counters of all.

    `running` is the clock of what is stored, which goes on over restarts, `clock` that of what is not. While
    the broker is `paused`, nothing that clients publish is taken in, and nobody new is let in.
    """

    def __init__(
        self,
        settings: EmbeddedSettings,
        access: Access,
        store: SessionStore,
        *,
        running: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.access = access
        self.running = running
        self.clock = clock
        self.counters = Counters()
        self.paused = False
        self._topic_bytes, self._topic_levels = settings.topic_bytes, settings.topic_levels
        self.router = Router(
            self.counters,
            store,
            running,
            retained=RetainedStore(messages=settings.retained_messages, bytes=settings.retained_bytes),
            subscriptions=settings.subscriptions,
        )
        limits = OverflowLimits(client=settings.disk_bytes, all=settings.all_disk_bytes)
        self.overflow = Overflow(store, limits, _note_overflow)
        defaults = SessionDefaults(
            counters=self.counters,
            store=store,
            overflow=self.overflow,
            clock=running,
            limits=QueueLimits(
                messages=settings.queue_messages, bytes=settings.queue_bytes, age=settings.queue_age
            ),
            window=settings.window,
            # A new subscription gets all that is retained, however much waits already.
            replay=settings.retained_messages,
        )
        self.wills = Wills(running, self._publish_will)
        self.sessions = Sessions(
            defaults, self.router, self.wills, most=settings.sessions, expiry=settings.session_expiry
        )

    def take(self, packet: Publish, login: Login, sender: Sender) -> Taken:
        """Take a client's message in, if it may publish it; returns what its acknowledgement is about."""
        if self.access.may_publish(login, packet.topic):
            return self.router.take(packet, sender)
        self.counters.dropped_denied += 1
        user = None if sender.identity is None else sender.identity.name
        log.info("publish_denied", client=login.client_id, user=user, topic=packet.topic[:LOGGED])
        return DENIED

    def look_after(self) -> None:
        """Publish the wills whose time has come, unless nothing is taken in."""
        if not self.paused:
            self.wills.publish_due()

    def tidy(self) -> None:
        """Forget what has had its time: sessions, messages, and nodes that have said nothing for long."""
        self.sessions.expire()
        self.router.drop_expired()
        self.router.forget_nodes()

    def fits(self, topic: str) -> bool:
        """Whether a topic or filter is as short and as flat as they have to be here."""
        return len(topic.encode()) <= self._topic_bytes and topic.count("/") < self._topic_levels

    def check_topic(self, topic: str) -> None:
        """Raises ProtocolError where a topic does not fit."""
        # Nearly all are printable; the call would cost as much as the rest.
        if not topic.isprintable():
            check_name(topic)
        if not self.fits(topic):
            raise ProtocolError(
                f"{topic[:LOGGED]!r} is longer or deeper than topics may be here", Reason.TOPIC_NAME_INVALID
            )

    def _publish_will(self, session: str, will: LastWill) -> None:
        if self.paused:
            self.counters.dropped_paused += 1
            return
        login = Login(client_of(session), will.username, None, "", will.certificate)
        said = will.said
        packet = Publish(
            said.topic, said.payload, said.qos, said.retain, expiry=said.expiry, passed=said.passed
        )
        self.take(packet, login, Sender(login.client_id, session, self.access.identity(login)))


def _note_overflow(event: str, session: str, topic: str) -> None:
    client, user = client_of(session), user_of(session) or None
    hint = "its queue is full: it is away or slow"
    log.warning(event, client=client, user=user, topic=topic[:LOGGED], reason=hint)
