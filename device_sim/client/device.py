"""A device: submits each task to a node with one publish, and waits for the outcome.

async with Device("mqtt://127.0.0.1", name="me") as device:
    total = await device.submit("light", "sum", [1, 2, 3], deadline=0.2)
"""

import asyncio
import enum
import secrets
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self, get_args

from broker.client.back_off import BackOff
from broker.contract.messages import Outcome, decode_outcome, decode_progress
from broker.contract.mqtt_version import MqttVersion
from broker.contract.refusal import Refusal
from broker.contract.topics import (
    CancelTopic,
    ProgressTopic,
    ResultTopic,
    TaskTopic,
    Weight,
    parse,
    progress_filter,
    result_filter,
)
from broker.contract.url import BrokerUrl
from broker.errors import BadPayload, BadTopic
from device_sim.client.connection import Connection
from device_sim.client.connector import Connector
from device_sim.client.log import log
from device_sim.client.names import check_level, new_ids
from device_sim.client.outgoing import Acknowledgement
from device_sim.client.payloads import value_of
from device_sim.client.pending import Pending
from device_sim.client.refusals import OUTCOME_FOLLOWS, is_plain, refused
from device_sim.errors import DeviceClosed, DeviceError, NoAnswer, NodeUnreachable, UnreadableAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """How a device behaves; durations in seconds.

    At most `max_outstanding` tasks are on their way; to send another one waits until one has ended.
    """

    max_outstanding: int = 100
    connect_timeout: float = 5.0
    keepalive: int = 30
    back_off_base: float = 0.2
    back_off_cap: float = 5.0


class _Phase(enum.Enum):
    NEW = "not entered yet"
    OPEN = "open"
    CLOSED = "closed"


class Device:
    """One device of one node. `async with` connects it, once; a closed device is not entered again.

    While it is open it stays connected. After a lost connection it connects again, with growing pauses, and
    sends every unanswered task again under the same id, to which a node gives the same outcome. Without a
    `name` it is called after the user in the URL, as a broker with users wants it, or at random. It
    speaks MQTT 5, or 3.1.1 where 5 is refused; with `mqtt` that version only.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str | None = None,
        settings: DeviceSettings | None = None,
        mqtt: MqttVersion | None = None,
    ) -> None:
        if mqtt not in (None, *get_args(MqttVersion)):
            raise ValueError(f"mqtt={mqtt!r} is no version of MQTT that a device speaks; it is 3, 5 or None")
        self._url = BrokerUrl.parse(url)
        made = self._url.username or f"device-{secrets.token_hex(4)}"
        self.name = made if name is None else name
        self._settings = settings or DeviceSettings()
        check_level("device", self.name)
        self._connector = Connector(
            self._url,
            self._on_message,
            # Two programs may use one device name. With the same client id the broker would let in only one.
            client_id=f"{self.name}-{secrets.token_hex(4)}",
            mqtt=mqtt,
            keepalive=self._settings.keepalive,
            window=self._settings.max_outstanding,
        )
        self._ids = new_ids()
        self._filters = [result_filter(self.name)]
        self._outstanding: dict[str, Pending] = {}
        self._slots = asyncio.Semaphore(self._settings.max_outstanding)
        self._phase = _Phase.NEW
        self._connection: Connection | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether the node can be reached now."""
        return self._connection is not None

    async def __aenter__(self) -> Self:
        """Connect; returns once the device hears its results. Raises NodeUnreachable after one try."""
        if self._phase is not _Phase.NEW:
            raise DeviceClosed(f"device {self.name} was entered before; make another one")
        self._phase = _Phase.OPEN
        try:
            connection = await self._connect()
        except BaseException:
            self._phase = _Phase.CLOSED
            raise
        self._supervisor = asyncio.create_task(
            self._stay_connected(connection), name=f"{self.name}: stay connected"
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect. Waiting for an outcome then raises DeviceClosed; the node still runs the tasks."""
        self._phase = _Phase.CLOSED
        if self._supervisor is not None:
            self._supervisor.cancel()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        for pending in tuple(self._outstanding.values()):
            self._end(
                pending.id, DeviceClosed(f"device {self.name} was closed before {pending.id} was answered")
            )
        if self._supervisor is not None:
            await asyncio.gather(self._supervisor, return_exceptions=True)

    async def submit(
        self,
        weight: Weight | str,
        task: str,
        payload: Any = None,
        *,
        deadline: float | None = None,
        timeout: float | None = 60.0,
        id: str | None = None,
    ) -> Any:
        """Run a task at the node and return its value. Raises a TaskFailed for an error, or as `outcome`."""
        return value_of(await self.outcome(weight, task, payload, deadline=deadline, timeout=timeout, id=id))

    async def outcome(
        self,
        weight: Weight | str,
        task: str,
        payload: Any = None,
        *,
        deadline: float | None = None,
        timeout: float | None = 60.0,
        id: str | None = None,
    ) -> Outcome:
        """Run a task at the node and return the whole outcome, with a value or an error.

        Raises NoAnswer `timeout` seconds after the call (None: never), and ValueError as `send` does.
        """
        try:
            async with asyncio.timeout(timeout):
                pending = await self.send(weight, task, payload, deadline=deadline, id=id)
                try:
                    return await pending.outcome(timeout=None)
                finally:
                    self.forget(pending.id)
        except TimeoutError as fault:
            away = "" if self.connected else "; the node is away"
            # An id that was made for it is not known here: it may have waited for a free slot until now.
            raise NoAnswer(
                f"no answer to {task} from {self.url} in {timeout:g} s{away}", id=id or ""
            ) from fault

    async def send(
        self,
        weight: Weight | str,
        task: str,
        payload: Any = None,
        *,
        deadline: float | None = None,
        id: str | None = None,
        progress: bool = False,
    ) -> Pending:
        """Send a task without waiting for its outcome; with `progress`, receive its steps too.

        `encode` in device_sim/client/payloads.py explains `payload` and `deadline`. Waits while
        `max_outstanding` tasks are on their way. While the node is away the task is kept, and sent later.
        Raises ValueError for arguments that cannot be sent, or an id that is still on its way.
        """
        key = id if id is not None else next(self._ids)
        check_level("task", task)
        check_level("id", key)
        topic = TaskTopic(Weight(weight), task, self.name, key)
        # From here on its deadline runs, though it may wait for a slot.
        born = asyncio.get_running_loop().time()
        pending = Pending(topic, payload, deadline=deadline, watched=progress, born=born)
        if progress:
            await self._listen_to_progress()
        await self._take_slot()
        if key in self._outstanding:
            self._slots.release()
            raise ValueError(f"the task with id {key!r} is still on its way")
        self._outstanding[key] = pending
        self._publish(pending)
        return pending

    async def cancel(self, id: str) -> None:
        """Ask the node to cancel a task; its outcome then has the code `cancelled`, unless it had ended.

        Returns once the node has acknowledged. Raises NodeUnreachable if it does not, or is away.
        """
        self._check_open()
        if self._connection is None:
            raise NodeUnreachable(f"{id} cannot be cancelled now: the node at {self.url} is away")
        told = self._connection.publish(str(CancelTopic(self.name, id)), b"")
        await asyncio.wait((told,), timeout=self._settings.connect_timeout)
        if not told.done() or told.cancelled():
            raise NodeUnreachable(f"the node at {self.url} did not acknowledge that {id} is cancelled")
        refusal = told.result()
        if refusal is not None:
            raise NodeUnreachable(f"the node at {self.url} refused to cancel {id}: {refusal.sentence}")

    def forget(self, id: str) -> None:
        """Stop waiting for a task: its slot is free, and its outcome is ignored if it comes."""
        self._end(id, DeviceClosed(f"{id} was forgotten before it was answered"))

    @property
    def url(self) -> str:
        """Where the node is, without a password."""
        return f"mqtt{'s' if self._url.tls else ''}://{self._url.place}"

    def _check_open(self) -> None:
        if self._phase is not _Phase.OPEN:
            raise DeviceClosed(
                f"device {self.name} is {self._phase.value}; use it inside its async with block"
            )

    async def _take_slot(self) -> None:
        self._check_open()
        await self._slots.acquire()
        # The device may have been closed meanwhile.
        if self._phase is not _Phase.OPEN:
            self._slots.release()
            self._check_open()

    async def _listen_to_progress(self) -> None:
        self._check_open()
        wanted = progress_filter(self.name)
        if wanted not in self._filters:
            self._filters.append(wanted)
        if self._connection is not None:
            await self._connection.subscribe([wanted], self._settings.connect_timeout)

    def _publish(self, pending: Pending) -> None:
        if self._connection is None:
            return
        topic, payload, expiry = pending.submission(asyncio.get_running_loop().time())
        acknowledged = self._connection.publish(topic, payload, expiry=expiry)
        acknowledged.add_done_callback(partial(self._acknowledged, pending))

    def _acknowledged(self, pending: Pending, acknowledged: Acknowledgement) -> None:
        refusal = None if acknowledged.cancelled() else acknowledged.result()
        if refusal is None or pending.done:
            return
        # What a node refuses has an outcome too, and that one says which of several errors it was.
        patience = 0.0 if is_plain(refusal) else OUTCOME_FOLLOWS
        asyncio.get_running_loop().call_later(patience, self._end_refused, pending, refusal)

    def _end_refused(self, pending: Pending, refusal: Refusal) -> None:
        if self._outstanding.get(pending.id) is pending:
            self._end(pending.id, refused(pending.topic, refusal))

    async def _connect(self) -> Connection:
        connection = await self._connector.open(self._filters, self._settings.connect_timeout)
        self._connection = connection
        # The node may have answered while we were away; it tells the same outcome again.
        for pending in tuple(self._outstanding.values()):
            self._publish(pending)
        return connection

    async def _stay_connected(self, connection: Connection) -> None:
        while True:
            reason = await connection.lost()
            self._connection = None
            log.info("node_lost", device=self.name, node=self.url, reason=reason)
            connection = await self._connect_again()

    async def _connect_again(self) -> Connection:
        back_off = BackOff(self._settings.back_off_base, self._settings.back_off_cap)
        while True:
            await asyncio.sleep(back_off.next())
            try:
                return await self._connect()
            except DeviceError as fault:
                log.info("node_still_away", device=self.name, node=self.url, reason=str(fault))

    def _on_message(self, topic: str, payload: bytes) -> None:
        try:
            match parse(topic):
                case ResultTopic(id=id):
                    self._end(id, decode_outcome(payload))
                case ProgressTopic(id=id) if id in self._outstanding:
                    self._outstanding[id].add(decode_progress(payload))
                case _:
                    log.debug("message_not_awaited", device=self.name, topic=topic)
        except BadTopic as fault:
            log.warning("topic_outside_contract", device=self.name, reason=str(fault))
        except BadPayload as fault:
            self._on_unreadable(topic, fault)

    def _on_unreadable(self, topic: str, fault: BadPayload) -> None:
        log.warning("message_unreadable", device=self.name, topic=topic, reason=str(fault))
        found = parse(topic)
        if isinstance(found, ResultTopic):
            self._end(found.id, UnreadableAnswer(f"the answer to {found.id} cannot be read: {fault}"))

    def _end(self, id: str, outcome: Outcome | DeviceError) -> None:
        pending = self._outstanding.pop(id, None)
        if pending is not None:
            pending.end(outcome)
            self._slots.release()
