"""The books of a node: accepted = done + failed + expired + cancelled + rejected + open, always."""

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice

from broker.contract.messages import Books, ErrorCode
from fog_node.jobs.job import End

DEVICES = 10_000
"""Devices whose accounts are kept; beyond it those that have been quiet longest are forgotten."""

_ENDS = {
    ErrorCode.EXPIRED: End.EXPIRED,
    ErrorCode.CANCELLED: End.CANCELLED,
}


def end_of(code: ErrorCode | None) -> End:
    """The column of an outcome: by its error's code, or done without one."""
    return End.DONE if code is None else _ENDS.get(code, End.FAILED)


@dataclass(slots=True)
class Account:
    """What came in and what became of it, of one device or of all."""

    open: int = 0
    rejected: int = 0
    ended: dict[End, int] = field(default_factory=lambda: dict.fromkeys(End, 0))

    def report(self) -> Books:
        """The account at this moment."""
        ended = {end.value: count for end, count in self.ended.items()}
        accepted = self.open + self.rejected + sum(ended.values())
        return Books(accepted=accepted, rejected=self.rejected, open=self.open, **ended)


class Bookkeeper:
    """Keeps the accounts of a node and of each device, since the node's start."""

    def __init__(self, *, devices: int = DEVICES) -> None:
        self._limit = devices
        self._all = Account()
        self._devices: OrderedDict[str, Account] = OrderedDict()

    @property
    def open(self) -> int:
        """How many jobs have no outcome yet."""
        return self._all.open

    def opened(self, device: str) -> None:
        """Count a job that was taken on."""
        for account in self._accounts(device):
            account.open += 1

    def rejected(self, device: str) -> None:
        """Count a submission that was answered with an error instead of being taken on."""
        for account in self._accounts(device):
            account.rejected += 1

    def withdrawn(self, device: str) -> None:
        """Turn a job that could not be stored into a rejected submission."""
        for account in self._accounts(device):
            account.open -= 1
            account.rejected += 1

    def ended(self, device: str, end: End) -> None:
        """Count the end of an open job."""
        for account in self._accounts(device):
            account.open -= 1
            account.ended[end] += 1

    def report(self) -> Books:
        """The books of the node at this moment."""
        return self._all.report()

    def latest(self, count: int) -> dict[str, Books]:
        """The accounts of the `count` devices that were heard of last, the latest first."""
        return {name: account.report() for name, account in islice(reversed(self._devices.items()), count)}

    def _accounts(self, device: str) -> tuple[Account, Account]:
        account = self._devices.get(device)
        if account is None:
            account = self._devices[device] = Account()
            if len(self._devices) > self._limit:
                self._forget()
        else:
            self._devices.move_to_end(device)
        return self._all, account

    def _forget(self) -> None:
        # Whoever has open jobs keeps the account; there are no more of those than there are jobs.
        quiet = next((name for name, account in self._devices.items() if not account.open), None)
        if quiet is not None:
            del self._devices[quiet]
