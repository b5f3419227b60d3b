"""What the broker says of itself below `$SYS/broker`, under the names that Mosquitto made usual."""

import math
from collections.abc import Iterator

from broker.engines.embedded.core import BrokerCore
from broker.programs.version import program_version

ROOT = "$SYS/broker/"
WINDOWS = (("1min", 60.0), ("5min", 300.0), ("15min", 900.0))
LOADS = {
    "load/messages/received": "packets_received",
    "load/messages/sent": "packets_sent",
    "load/bytes/received": "bytes_received",
    "load/bytes/sent": "bytes_sent",
    "load/publish/received": "publishes_received",
    "load/publish/sent": "publishes_sent",
    "load/publish/dropped": "dropped",
    "load/sockets": "connections",
    "load/connections": "connects",
}


class SysTopics:
    """Says every so often what has changed since the last time."""

    def __init__(self, core: BrokerCore, *, now: float) -> None:
        self._core = core
        self._started = self._last = now
        self._said: dict[str, str] = {}
        self._before = dict.fromkeys(LOADS.values(), 0)
        self._loads = {f"{name}/{window}": 0.0 for name in LOADS for window, _ in WINDOWS}

    def say(self, now: float) -> None:
        """Publish what is new."""
        self._measure(now)
        for name, value in self._values(now):
            # As Mosquitto does: most of it seldom changes, and each line goes to everybody who looks.
            if self._said.get(name) != value:
                self._said[name] = value
                self._core.router.say(ROOT + name, value.encode())

    def _measure(self, now: float) -> None:
        """Move the averages of the last minutes, per minute and with exponential weights as Mosquitto's."""
        elapsed = now - self._last
        # The first time there is nothing to compare with.
        if elapsed <= 0:
            return
        self._last = now
        counters = self._core.counters
        for name, field in LOADS.items():
            count = getattr(counters, field)
            rate = (count - self._before[field]) * 60.0 / elapsed
            for window, seconds in WINDOWS:
                weight = math.exp(-elapsed / seconds)
                key = f"{name}/{window}"
                self._loads[key] = rate + weight * (self._loads[key] - rate)
        self._before = {field: getattr(counters, field) for field in LOADS.values()}

    def _values(self, now: float) -> Iterator[tuple[str, str]]:
        router, sessions, counters = self._core.router, self._core.sessions, self._core.counters
        connected = sum(session.outlet is not None for session in sessions)
        counters.clients_maximum = max(counters.clients_maximum, len(sessions))
        waiting = sum(session.waiting for session in sessions)
        counts = {
            "clients/total": len(sessions),
            "clients/connected": connected,
            "clients/active": connected,
            "clients/disconnected": len(sessions) - connected,
            "clients/inactive": len(sessions) - connected,
            "clients/maximum": counters.clients_maximum,
            "clients/expired": counters.sessions_expired,
            "messages/received": counters.packets_received,
            "messages/sent": counters.packets_sent,
            "messages/stored": waiting + len(router.retained),
            "store/messages/count": waiting + len(router.retained),
            "bytes/received": counters.bytes_received,
            "bytes/sent": counters.bytes_sent,
            "publish/messages/received": counters.publishes_received,
            "publish/messages/sent": counters.publishes_sent,
            "publish/messages/dropped": counters.dropped,
            "publish/bytes/received": counters.publish_bytes_received,
            "publish/bytes/sent": counters.publish_bytes_sent,
            "retained messages/count": len(router.retained),
            "subscriptions/count": router.subscriptions,
            "shared_subscriptions/count": router.shared_subscriptions,
            "connections/refused": counters.connections_refused,
            "connections/logins refused": counters.logins_refused,
            "connections/handshakes failed": counters.handshakes_failed,
            "connections/protocol errors": counters.protocol_errors,
            "connections/silent": counters.silent_closed,
            "subscriptions/denied": counters.subscriptions_denied,
        }
        yield "version", f"weighbridge version {program_version()}"
        yield "uptime", f"{now - self._started:.0f} seconds"
        yield from ((name, str(count)) for name, count in counts.items())
        yield from (
            (f"publish/messages/dropped/{reason}", str(count)) for reason, count in counters.drops().items()
        )
        yield from ((name, f"{load:.2f}") for name, load in self._loads.items())
