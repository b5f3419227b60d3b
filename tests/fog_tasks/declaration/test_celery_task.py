"""Plain Celery tasks, as people write them, loaded as a node's."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.contract.topics import Weight
from fog_tasks.declaration.registry import Registry
from fog_tasks.errors import BadArguments, LoadError, NotRetried
from fog_tasks.loading import load
from fog_tasks.progress import reporting
from fog_tasks.running.faults import explain

SHOP = """
from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from celery import Celery, Task, chain, current_app, shared_task
from celery.exceptions import SoftTimeLimitExceeded

if TYPE_CHECKING:
    from nowhere import Order

app = Celery("shop", broker="amqp://127.0.0.1:1", backend="rpc://", task_time_limit=90)
told = []

class Telling(Task):
    def on_failure(self, exc, task_id, args, kwargs, einfo):
        told.append(("failure", str(exc), args))
    def on_retry(self, exc, task_id, args, kwargs, einfo):
        told.append(("retry", str(exc), args))
    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        told.append(("after", status))

@app.task
def resize(width: int, day: date = date(2026, 1, 2)) -> str:
    "Makes it fit.\\n\\nMore of it."
    return f"{width} on {day:%A}"

@shared_task(bind=True)
def steps(self: Task, total: int) -> list:
    for number in range(total):
        self.update_state(state="PROGRESS", meta={"current": number + 1, "total": total})
        self.update_state(state="PACKING", meta={"box": 7})
    return [self.name, self.request.retries, current_app.main]

@app.task(bind=True, base=Telling, weight="heavy", soft_time_limit=7, roles=("operator",), cpu=3)
def charge(self, order: Order):
    try:
        raise ConnectionError("the bank is away")
    except ConnectionError as fault:
        raise self.retry(exc=fault, countdown=60)

@app.task(autoretry_for=(Exception,), retry_backoff=True, base=Telling)
def automatic():
    raise ConnectionError("again")

@app.task(bind=True)
def tired(self):
    self.retry()

@app.task(base=Telling)
def failing(why):
    raise ValueError(why)

class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")

@app.task
def odd():
    raise Odd("this", "that")

@app.task
def slow():
    raise SoftTimeLimitExceeded(7)

@app.task(name="bank.charge")
def other_charge():
    return (resize.s(4).id, chain(resize.s(5)).apply().get())
"""


@pytest.fixture
def shop(tmp_path: Path) -> Registry:
    (tmp_path / "shop.py").write_text(SHOP)
    return load([str(tmp_path / "shop.py")])


def run(shop: Registry, name: str, *arguments: Any) -> Any:
    return json.loads(shop[name].run(arguments, {}))


def test_they_have_celerys_names_and_their_last_part_where_that_is_unique(shop: Registry) -> None:
    names = {"resize", "steps", "charge", "automatic", "tired", "failing", "odd", "slow"}
    assert set(shop) - set(load([])) == {f"shop.{name}" for name in names} | {"bank.charge"}
    assert shop["resize"] is shop["shop.resize"]
    assert "charge" not in shop


def test_a_name_in_full_comes_before_the_short_name_of_another(tmp_path: Path) -> None:
    text = "from weighbridge import task\nfrom celery import Celery\napp = Celery()\n"
    text += "@app.task\ndef sum(): return 1\n@task\ndef one(): return 1\n"
    (tmp_path / "a.py").write_text(text)
    registry = load([str(tmp_path / "a.py")])
    assert {"a.sum", "sum", "one"} <= set(registry)
    assert registry["sum"].name == "sum"


def test_arguments_are_checked_and_converted_by_annotations(shop: Registry) -> None:
    assert run(shop, "resize", 3, "2026-11-27") == "3 on Friday"
    assert run(shop, "resize", 3) == "3 on Friday"
    with pytest.raises(BadArguments, match="parameter 'width': expected `int`, got `str`"):
        shop["resize"].check(b'["x"]')
    assert shop["resize"].about == "Makes it fit."
    assert list(shop["steps"].catalog_entry().parameters["properties"]) == ["total"]


def test_an_annotation_that_json_cannot_be_read_as_takes_anything(shop: Registry) -> None:
    shop["shop.charge"].check(b'[{"order": 7}]')


def test_options_are_those_of_tasks_and_limits_are_celerys(shop: Registry) -> None:
    charge, resize = shop["shop.charge"], shop["resize"]
    assert (charge.weight, charge.timeout, charge.cpu, set(charge.roles)) == (
        Weight.HEAVY,
        7,
        3,
        {"operator"},
    )
    assert (resize.weight, resize.timeout, resize.cpu, resize.roles) == (Weight.MEDIUM, 90, None, frozenset())


def test_states_become_progress_and_the_application_is_the_current_one(shop: Registry) -> None:
    heard: list[float] = []
    with reporting(heard.append):
        assert run(shop, "steps", 4) == ["shop.steps", 0, "shop"]
    assert heard == [25, 50, 75, 100]


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("shop.charge", ({"order": 7},), " because of ConnectionError: the bank is away"),
        ("automatic", (), " because of ConnectionError: again"),
        ("tired", (), ""),
    ],
)
def test_a_retry_fails_and_names_the_way_out(
    shop: Registry, name: str, arguments: tuple[Any, ...], reason: str
) -> None:
    with pytest.raises(NotRetried) as caught:
        run(shop, name, *arguments)
    assert str(caught.value) == (
        f"it asks Celery for another try{reason}; a node's own workers give it none: let the application's"
        " workers run it, with --celery in place of --tasks"
    )


def test_the_hooks_of_a_task_are_called(shop: Registry) -> None:
    with pytest.raises(ValueError, match="odd"):
        run(shop, "failing", "odd")
    with pytest.raises(NotRetried):
        run(shop, "automatic")
    assert sys.modules[shop["failing"].__module__].told == [
        ("failure", "odd", ("odd",)),
        ("after", "FAILURE"),
        ("retry", "again", ()),
    ]


def test_an_exception_that_cannot_be_pickled_is_told_as_it_is(shop: Registry) -> None:
    with pytest.raises(Exception, match="this and that") as caught:
        run(shop, "odd")
    line = 1 + SHOP.splitlines().index('    raise Odd("this", "that")')
    assert explain(caught.value)[1] == f"Odd: this and that (shop.py, line {line})"


def test_what_a_limit_raises_comes_out(shop: Registry) -> None:
    with pytest.raises(Exception, match="SoftTimeLimitExceeded"):
        run(shop, "slow")


def test_tasks_find_each_other_by_name(shop: Registry) -> None:
    assert run(shop, "bank.charge")[1] == "5 on Friday"


def test_a_file_that_is_loaded_anew_has_its_new_tasks(shop: Registry, tmp_path: Path) -> None:
    """Those with a name in full too, which Celery would find taken."""
    file = tmp_path / "shop.py"
    file.write_text(
        SHOP.replace("def resize(width: int,", "def resize(width: str,").replace("s(5)", "s('6')")
    )
    again = load([str(file)])
    assert run(again, "resize", "x") == "x on Friday"
    assert run(again, "bank.charge")[1] == "6 on Friday"
    assert run(shop, "resize", 3) == "3 on Friday"


def test_a_task_of_two_sources_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "its_shop.py").write_text(SHOP.replace('(name="bank.charge")', ""))
    (tmp_path / "its_other.py").write_text("from its_shop import app, resize, steps as again\n")
    monkeypatch.chdir(tmp_path)
    registry = load(["its_shop", "its_other", str(tmp_path / "its_shop.py")])
    assert registry["resize"].name == "its_shop.resize"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("@app.task\nasync def waits(): pass", "task 'waits' is an async function"),
        ("@app.task(weight='huge')\ndef big(): pass", "task 'a.big': weight 'huge' is unknown"),
        ("app.config_from_object('missing_settings')\n@app.task\ndef one(): pass", "missing_settings"),
    ],
)
def test_what_cannot_be_a_task_is_refused_with_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "a.py").write_text(f"from celery import Celery\napp = Celery()\n{text}\n")
    with pytest.raises(LoadError, match=sentence):
        load([str(tmp_path / "a.py")])
