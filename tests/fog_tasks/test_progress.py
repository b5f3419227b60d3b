import pytest

from fog_tasks.progress import percent_in, progress, reporting


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


@pytest.mark.parametrize(
    ("meta", "percent"),
    [
        ({"current": 1, "total": 4}, 25),
        ({"percent": 12.5, "current": 1, "total": 4}, 12.5),
        ({"current": 1, "total": 0}, None),
        ({"current": "1", "total": 4}, None),
        ({"percent": True}, None),
        ({"percent": float("inf")}, None),
        ({"box": 7}, None),
        (None, None),
        ("half of it", None),
    ],
)
def test_what_celery_is_told_says_how_far_a_task_is(meta: object, percent: float | None) -> None:
    assert percent_in(meta) == percent
