import contextlib
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from fog_tasks import once_per_process


def in_a_child(answer: Callable[[], str]) -> str:
    """What a forked process answers."""
    readable, writable = os.pipe()
    if os.fork() == 0:
        os.write(writable, answer().encode())
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as answers:
        said = answers.read()
    os.wait()
    return said


def test_it_is_made_once_and_kept() -> None:
    made: list[object] = []

    @once_per_process
    def thing() -> object:
        """A thing."""
        made.append(object())
        return made[-1]

    assert not made
    assert thing() is thing()
    assert len(made) == 1
    assert (thing.__name__, thing.__doc__) == ("thing", "A thing.")


def test_a_forked_process_makes_its_own_and_leaves_its_parents_alone() -> None:
    class Connection:
        def __init__(self) -> None:
            self.owner = os.getpid()

        def __del__(self) -> None:
            if os.getpid() != self.owner:
                said.append("closed by another")

    said: list[str] = []
    connection = once_per_process(Connection)
    mine = connection()

    def answer() -> str:
        return f"{connection().owner == os.getpid()} {connection() is connection()} {said}"

    assert in_a_child(answer) == "True True []"
    assert connection() is mine


# Python warns of such forks; a worker of Celery makes them all the same.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_while_another_thread_makes_it_leaves_no_lock_behind() -> None:
    begun, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    @once_per_process
    def thing() -> int:
        begun.set()
        if os.getpid() == parent:
            go_on.wait(30)
        return os.getpid()

    maker = threading.Thread(target=thing)
    maker.start()
    begun.wait(30)
    try:
        assert in_a_child(lambda: str(thing() != parent)) == "True"
    finally:
        go_on.set()
        maker.join()
    assert thing() == parent


def test_threads_get_the_same_one() -> None:
    two = threading.Barrier(2)
    made: list[object] = []

    @once_per_process
    def thing() -> object:
        with contextlib.suppress(threading.BrokenBarrierError):
            two.wait(0.5)  # for another thread that must not come
        made.append(object())
        return made[-1]

    threads = [threading.Thread(target=thing) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(made) == 1


def test_what_could_not_be_made_is_tried_again() -> None:
    answers: Iterator[OSError | int] = iter([OSError("away"), 7])

    @once_per_process
    def thing() -> int:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    with pytest.raises(OSError, match="away"):
        thing()
    assert thing() == 7
