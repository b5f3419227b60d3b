"""The books balance, whatever happens, for the node and for each device."""

from hypothesis import given
from hypothesis import strategies as st

from broker.contract.messages import Books, ErrorCode
from fog_node.jobs.books import Bookkeeper, end_of
from fog_node.jobs.job import End


def balanced(books: Books) -> bool:
    ends = books.done + books.failed + books.expired + books.cancelled
    return books.accepted == ends + books.rejected + books.open


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["opened", "rejected", "withdrawn", *End]), st.sampled_from(["lamp", "camera"])
        )
    )
)
def test_books_balance_at_any_moment(steps: list[tuple[str, str]]) -> None:
    books = Bookkeeper()
    for step, device in steps:
        if step in tuple(End):
            books.opened(device)
            books.ended(device, End(step))
        else:
            getattr(books, step)(device)
        accounts = books.latest(9)
        assert balanced(books.report())
        assert all(balanced(account) for account in accounts.values())
        assert books.report().accepted == sum(account.accepted for account in accounts.values())


def test_each_error_code_has_its_column() -> None:
    assert end_of(None) is End.DONE
    assert end_of(ErrorCode.EXPIRED) is End.EXPIRED
    assert end_of(ErrorCode.CANCELLED) is End.CANCELLED
    assert end_of(ErrorCode.TIMED_OUT) is End.FAILED


def test_the_latest_device_is_told_first() -> None:
    books = Bookkeeper()
    for device in ("a", "b", "c", "a"):
        books.opened(device)
    assert list(books.latest(2)) == ["a", "c"]


def test_quiet_devices_are_forgotten_and_those_with_open_jobs_are_not() -> None:
    books = Bookkeeper(devices=2)
    books.opened("busy")
    for device in ("a", "b", "c"):
        books.rejected(device)
    assert list(books.latest(9)) == ["c", "busy"]
    assert books.report().accepted == 4
