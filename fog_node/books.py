"""The books of a node: accepted = done + failed + expired + cancelled + rejected + open, always."""

from collections import Counter

from broker.messages import Books, ErrorCode
from fog_node.job import End

_ENDS = {
    ErrorCode.EXPIRED: End.EXPIRED,
    ErrorCode.CANCELLED: End.CANCELLED,
}


def end_of(code: ErrorCode | None) -> End:
    """The column of an outcome: by its error's code, or done without one."""
    return End.DONE if code is None else _ENDS.get(code, End.FAILED)


class Bookkeeper:
    """Counts what came in and what became of it, since the node's start."""

    def __init__(self) -> None:
        self._open = 0
        self._rejected = 0
        self._ended: Counter[End] = Counter()

    @property
    def open(self) -> int:
        """How many jobs have no outcome yet."""
        return self._open

    def opened(self) -> None:
        """Count a job that was taken on."""
        self._open += 1

    def rejected(self) -> None:
        """Count a submission that was answered with an error instead of being taken on."""
        self._rejected += 1

    def withdrawn(self) -> None:
        """Turn a job that could not be stored into a rejected submission."""
        self._open -= 1
        self._rejected += 1

    def ended(self, end: End) -> None:
        """Count the end of an open job."""
        self._open -= 1
        self._ended[end] += 1

    def report(self) -> Books:
        """The books at this moment."""
        ended = {end.value: self._ended[end] for end in End}
        accepted = self._open + self._rejected + sum(ended.values())
        return Books(accepted=accepted, rejected=self._rejected, open=self._open, **ended)
