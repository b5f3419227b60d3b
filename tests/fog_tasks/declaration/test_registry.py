import re

import pytest

from fog_tasks import LoadError, Registry, Task, task


def test_tasks_are_found_by_name() -> None:
    one = task(name="one")(lambda: 1)
    registry = Registry([one, one])
    assert registry["one"] is one
    assert (list(registry), len(registry), "two" in registry) == (["one"], 1, False)


def test_two_tasks_of_one_name_are_refused_with_both_places() -> None:
    first = task(name="same")(lambda: 1)
    second = task(name="same")(lambda: 2)
    with pytest.raises(LoadError, match="two tasks are named 'same'") as caught:
        Registry([first, second])
    lines = re.findall(r"test_registry\.py, line (\d+)", str(caught.value))
    assert len(set(lines)) == 2


def test_two_tasks_of_one_line_are_two() -> None:
    made = [task(name="same")(lambda: 1) for _ in range(2)]
    with pytest.raises(LoadError, match="two tasks are named 'same'"):
        Registry(made)


def test_short_names_are_those_of_the_tasks_that_took_the_place_of_others() -> None:
    def one() -> None: ...

    before = Registry([Task(one, name="shop.one", short_name="one")])
    before.replace(Registry([Task(one, name="shop.two", short_name="two")]))
    assert "one" not in before
    assert before["two"].name == "shop.two"


def test_a_short_name_of_several_names_none_but_tells_them() -> None:
    def total() -> None: ...

    two = Registry([Task(total, name=name, short_name="total") for name in ("shop.total", "mail.total")])
    assert "total" not in two
    assert two.named_so("total") == ["shop.total", "mail.total"]
