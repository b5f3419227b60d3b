import pytest

from fog_tasks.progress import progress, reporting


def test_outside_a_worker_it_does_nothing() -> None:
    progress(50)


@pytest.mark.parametrize(
    ("told", "reported"), [(0, 0.0), (12.5, 12.5), (100, 100.0), (-3, 0.0), (250, 100.0), (float("nan"), 0.0)]
)
def test_a_reporter_hears_0_to_100(told: float, reported: float) -> None:
    heard: list[float] = []
    with reporting(heard.append):
        progress(told)
    assert heard == [reported]


def test_a_reporter_hears_nothing_after_its_task_even_if_that_failed() -> None:
    heard: list[float] = []
    with pytest.raises(KeyError), reporting(heard.append):
        raise KeyError
    progress(50)
    assert heard == []
