"""What the broker holds for one client: its subscriptions, and the messages on their way to it."""

from collections.abc import Iterator
from itertools import chain

from broker.contract.refusal import Taken
from broker.engines.embedded.message import Delivery, DeliveryStage, RoutedMessage
from broker.engines.embedded.sessions.given import Outlet, SessionDefaults
from broker.engines.embedded.sessions.grant import NOTHING, Grant
from broker.engines.embedded.sessions.late import set_aside
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.embedded.sessions.waiting import WaitingQueue
from broker.engines.embedded.sessions.window import NO_LIMIT, Window
from broker.engines.embedded.sessions.writer import Writer
from broker.mqtt.kinds import PUBACK, PUBCOMP, PUBREL, V5
from broker.mqtt.packets import Connect
from broker.mqtt.reasons import FAILURE, Reason
from broker.mqtt.writing import encode_ack

_NO_STORE = SessionStore()


class Session:
    """One client's session. While it has no outlet, messages of QoS 1 and 2 wait.

    It ends `expiry` seconds after its client was seen last, at `left_at`; with 0, as soon as the client is
    gone, and it is not in the `store`. `received` holds the packet identifiers of QoS 2 messages that came
    and are not released yet, each with what its PUBREC waits for.
    """

    __slots__ = (
        "_counters",
        "_defaults",
        "_overflowing",
        "_queue",
        "_replaying",
        "_window",
        "_writer",
        "expiry",
        "left_at",
        "name",
        "outlet",
        "received",
        "store",
        "subscriptions",
    )

    def __init__(self, name: str, *, expiry: float, defaults: SessionDefaults) -> None:
        self.name = name
        self.expiry = expiry
        self.outlet: Outlet | None = None
        self.subscriptions: dict[str, Grant] = {}
        self.received: dict[int, Taken] = {}
        self.left_at = 0.0
        self._defaults = defaults
        self._counters = defaults.counters
        self.store = defaults.store if expiry else _NO_STORE
        # None for a client of MQTT 3.1 or 3.1.1.
        self._writer: Writer | None = None
        self._window = Window(defaults.window)
        self._queue = WaitingQueue(defaults.limits)
        # How many messages of QoS 0 wait: later ones must not overtake a retained one.
        self._replaying = 0
        self._overflowing = False

    def deliver(self, message: RoutedMessage, grant: Grant) -> None:
        """Send a message as the subscription grants it, or let it wait, or drop and count it."""
        if grant.own is not None and message.sender == self.name:
            grant = grant.own
            if grant is NOTHING:
                return
        retain = grant.retain_as_published and message.retain
        qos = min(grant.qos, message.qos)
        outlet = self.outlet
        if qos or self._replaying:
            self._accept(Delivery(message, qos, retain, grant.identifiers))
        elif outlet is None:
            # Nobody promised a client that is away messages of QoS 0.
            return
        elif outlet.congested:
            if message.qos and not message.sender:
                # The node says it to be heard, and will not say it again.
                self._accept(Delivery(message, qos, retain, grant.identifiers))
            else:
                self._counters.dropped_slow += 1
        elif self._writer is None and not retain:
            # The most usual case, and written out for that.
            self._counters.publishes_sent += 1
            self._counters.publish_bytes_sent += message.size
            outlet.send(message.frame())
        else:
            writer = self._writer
            if writer is None:
                data: bytes | None = message.encoded(qos=0, retain=retain)
            else:
                data = writer.write(message, retain=retain, identifiers=grant.identifiers)
            self._put(data, message, outlet)

    def replay(self, message: RoutedMessage, grant: Grant) -> None:
        """Send a retained message to a new subscription, as it grants it."""
        if grant.no_local and message.sender == self.name:
            return
        delivery = Delivery(message, min(grant.qos, message.qos), True, grant.identifiers, replayed=True)
        self._accept(delivery, beyond=self._defaults.replay)

    def heard(self, packet_id: int, stored: Taken) -> None:
        """Note that a QoS 2 message came, so that it is not taken in twice."""
        self.received[packet_id] = stored
        self.store.heard(self.name, packet_id)

    def released(self, packet_id: int) -> bool:
        """Note that a QoS 2 message will not come again, or may be taken in again; False if it is unknown."""
        if packet_id not in self.received:
            return False
        del self.received[packet_id]
        self.store.released(self.name, packet_id)
        return True

    def acknowledged(self, kind: int, packet_id: int, reason: int = 0) -> None:
        """Hear a PUBACK, PUBREC or PUBCOMP; what was not on its way is ignored.

        Raises ProtocolError where something is on its way that is not acknowledged like this.
        """
        if kind == PUBACK:
            delivery = self._window.acknowledged(packet_id)
        elif kind == PUBCOMP:
            delivery = self._window.completed(packet_id)
        elif reason < FAILURE:
            self._received(packet_id)
            return
        else:
            delivery = self._window.refused(packet_id)
        if delivery is not None:
            self._let_go(delivery)
            self.proceed()

    def resume(self, outlet: Outlet, connect: Connect) -> None:
        """Go on with a client that has connected: what it has not acknowledged first, in order."""
        self.outlet = outlet
        speaks_mqtt5 = connect.version == V5
        self._writer = Writer(connect, self._defaults.clock) if speaks_mqtt5 else None
        most = connect.receive_maximum if speaks_mqtt5 else NO_LIMIT
        self._window.begin_anew(self._defaults.window, most)
        self.proceed()

    def leave(self, now: float) -> None:
        """Note that the client is gone."""
        self.outlet = None
        self.left_at = now
        self.store.left(self.name, now, self.expiry)

    def proceed(self) -> None:
        """Send what waits, as far as the window and the client allow."""
        outlet = self.outlet
        if self._window.repeating:
            self._repeat()
        while (delivery := self._queue.first()) is not None:
            if not self._queue.too_old(delivery, self._defaults.clock()):
                if outlet is None or outlet.congested or (delivery.qos and not self._window.open):
                    return
                self._take()
                if self._send_new(delivery, outlet) and delivery.qos:
                    self.store.moved(delivery)
                else:
                    self._let_go(delivery)
            else:
                self._drop_first()
        if self._overflowing and not self._window:
            self._overflowing = False
            self._defaults.overflow.forget(self.name)

    def drop_expired(self, now: float) -> None:
        """Drop what waits and has expired, though it is not its turn."""
        for delivery in self._queue.take_expired(now):
            self._replaying -= not delivery.qos
            self._drop(delivery)

    def has_memory_for(self, message: RoutedMessage, identifiers: tuple[int, ...]) -> bool:
        """Whether a message that an earlier process has kept may wait in memory."""
        return self._queue.has_memory_for(message, identifiers)

    def pass_over_late(self) -> int:
        """Let what the client should have acknowledged long ago not keep back what waits; return its number.

        It is kept, within the limits of what waits, and sent again when the client connects again. Clients of
        MQTT 5 say how much they take, and are not sent more than that in any case.
        """
        if self._window.open:
            return 0
        late, given_up = set_aside(self._window, self._defaults.limits, self._defaults.clock())
        for delivery in given_up:
            self._counters.dropped_full += 1
            self._let_go(delivery)
            if not delivery.message.sender:
                self._overflowing = True
                self._defaults.overflow.lose(self.name, delivery.message.topic)
        self.proceed()
        return late

    def restore(self, delivery: Delivery) -> None:
        """Take back a delivery that an earlier process has kept."""
        if delivery.message.on_disk:
            self._overflowing = True
            self._defaults.overflow.restore(self.name, delivery.message)
        if delivery.stage is DeliveryStage.WAITING:
            self._queue.add(delivery)
        else:
            self._window.restore(delivery)

    def end(self) -> None:
        """Count the messages that the client will never get, and have the store forget the session."""
        self._counters.dropped_session += len(self._queue) + len(self._window)
        for delivery in self:
            if delivery.message.on_disk:
                self._defaults.overflow.release(self.name, delivery.message)
        self.store.ended(self.name, self)
        self._defaults.overflow.forget(self.name)

    @property
    def has_room(self) -> bool:
        """Whether a message would be sent at once."""
        outlet = self.outlet
        return outlet is not None and not self._queue and self._window.open and not outlet.congested

    @property
    def waiting(self) -> int:
        """How many messages have not been sent."""
        return len(self._queue)

    def __iter__(self) -> Iterator[Delivery]:
        return chain(self._window, self._queue)

    def _accept(self, delivery: Delivery, *, beyond: int = 0) -> None:
        outlet = self.outlet
        may_send = outlet is not None and not self._queue and not outlet.congested
        if outlet is not None and may_send and (self._window.open or not delivery.qos):
            if not self._send_new(delivery, outlet):
                return
        elif (outlet is None and not delivery.qos) or not self._enqueue(delivery, beyond):
            self._counters.dropped_full += 1
            return
        if delivery.qos:
            self.store.added(self.name, delivery)

    def _enqueue(self, delivery: Delivery, beyond: int) -> bool:
        queue = self._queue
        if not queue.put(delivery, beyond=beyond):
            now = self._defaults.clock()
            # Only a full queue is searched for what is too old: it is the only one that needs room.
            while (first := queue.first()) is not None and queue.too_old(first, now):
                self._drop_first()
            if not queue.put(delivery, beyond=beyond) and not self._overflow(delivery):
                return False
        self._replaying += not delivery.qos
        return True

    def _overflow(self, delivery: Delivery) -> bool:
        """Let what the node says wait on disk; False where there is no room, or it is another's."""
        if delivery.message.sender:
            return False
        self._overflowing = True
        overflow, message = self._defaults.overflow, delivery.message
        kept = overflow.take(self.name, message) if self._queue.has_place else None
        if kept is None:
            overflow.lose(self.name, message.topic)
            return False
        delivery.message = kept
        self._queue.add(delivery)
        return True

    def _let_go(self, delivery: Delivery) -> None:
        """Forget a delivery that has arrived, or was dropped."""
        if delivery.qos:
            self.store.removed(delivery)
        if delivery.message.on_disk:
            self._defaults.overflow.release(self.name, delivery.message)

    def _repeat(self) -> None:
        """Send once more what the client has not acknowledged, as far as it takes it."""
        while self.outlet is not None and (delivery := self._window.again()) is not None:
            # In the order of the first sending, as MQTT demands (4.6).
            if delivery.stage is DeliveryStage.RELEASED:
                self.outlet.send(encode_ack(PUBREL, delivery.packet_id))
            elif not self._send(delivery, self.outlet, dup=True):
                self._window.forget(delivery)
                self._let_go(delivery)

    def _received(self, packet_id: int) -> None:
        """Hear that the client has a message of QoS 2."""
        delivery = self._window.received(packet_id)
        if delivery is not None:
            self.store.moved(delivery)
        if self.outlet is not None:
            # Answered in any case, or a client that remembers more than we do would ask for ever.
            known = self._writer is None or delivery is not None or self._window.knows(packet_id)
            reason = Reason.SUCCESS if known else Reason.PACKET_IDENTIFIER_NOT_FOUND
            self.outlet.send(encode_ack(PUBREL, packet_id, reason))

    def _drop_first(self) -> None:
        self._drop(self._take())

    def _drop(self, delivery: Delivery) -> None:
        self._counters.dropped_old += 1
        self._let_go(delivery)

    def _take(self) -> Delivery:
        delivery = self._queue.take()
        self._replaying -= not delivery.qos
        return delivery

    def _send_new(self, delivery: Delivery, outlet: Outlet) -> bool:
        if not delivery.qos:
            return self._send(delivery, outlet)
        self._window.add(delivery)
        sent = self._send(delivery, outlet)
        if not sent:
            self._window.forget(delivery)
        return sent

    def _send(self, delivery: Delivery, outlet: Outlet, *, dup: bool = False) -> bool:
        """Send a message; False if it is larger than what the client takes, and counts as delivered then."""
        delivery.sent = self._defaults.clock()
        message, writer = delivery.message, self._writer
        if writer is None:
            data: bytes | None = message.encoded(
                qos=delivery.qos, retain=delivery.retain, dup=dup, packet_id=delivery.packet_id
            )
        else:
            data = writer.write(
                message,
                qos=delivery.qos,
                retain=delivery.retain,
                identifiers=delivery.identifiers,
                dup=dup,
                packet_id=delivery.packet_id,
            )
        return self._put(data, message, outlet)

    def _put(self, data: bytes | None, message: RoutedMessage, outlet: Outlet) -> bool:
        counters = self._counters
        if data is None:
            counters.dropped_large += 1
            return False
        counters.publishes_sent += 1
        counters.publish_bytes_sent += message.size
        outlet.send(data)
        return True
