"""The books balance after every entry."""

from hypothesis import given
from hypothesis import strategies as st

from broker.messages import ErrorCode
from fog_node.books import Bookkeeper, end_of
from fog_node.job import End

ENTRIES = st.lists(st.sampled_from([*End, "open", "reject", "withdraw"]))


@given(ENTRIES)
def test_accepted_is_the_sum_of_all_that_became_of_it(entries: list[str]) -> None:
    books = Bookkeeper()
    received = 0
    for entry in entries:
        match entry:
            case "reject":
                books.rejected()
                received += 1
            case "withdraw" if books.open:
                books.withdrawn()
            case End() if books.open:
                books.ended(entry)
            case _:
                books.opened()
                received += 1
        report = books.report()
        ended = report.done + report.failed + report.expired + report.cancelled
        assert report.accepted == received == ended + report.rejected + report.open


def test_each_error_code_has_a_column() -> None:
    assert end_of(None) is End.DONE
    assert end_of(ErrorCode.EXPIRED) is End.EXPIRED
    assert end_of(ErrorCode.CANCELLED) is End.CANCELLED
    assert end_of(ErrorCode.TIMED_OUT) is End.FAILED
