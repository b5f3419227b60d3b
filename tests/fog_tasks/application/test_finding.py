"""Which tasks an application offers, beside other applications and after it was imported anew."""

import sys
from pathlib import Path

import pytest
import structlog

from fog_tasks.application.application_task import ApplicationTask
from fog_tasks.application.settings import read_application
from fog_tasks.declaration.registry import Registry
from fog_tasks.errors import BadArguments, LoadError
from fog_tasks.loading import load

SHOP = """
from celery import Celery, shared_task
app = Celery("shop", broker="amqp://127.0.0.1:1//", backend="rpc://")

@app.task(name="shop.price")
def price(pounds: int): ...

@shared_task
def pack(parcels: int): ...
"""


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application in the current folder."""
    (tmp_path / "its_shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(*sources: str) -> Registry:
    return load(sources, None, read_application("its_shop:app", {}, "its.toml"))


def test_the_tasks_of_other_applications_are_not_its_own(shop: Path) -> None:
    (shop / "other.py").write_text(SHOP.replace("price", "weigh").replace("pack", "stack"))
    registry = offered(str(shop / "other.py"))
    found = {name for name, task in registry.items() if isinstance(task, ApplicationTask)}
    assert found == {"shop.price", "its_shop.pack"}
    assert {"shop.weigh", "other.stack"} <= set(registry)


@pytest.mark.parametrize("name", ["price", "pack"])
def test_a_module_that_is_imported_anew_has_its_new_tasks(shop: Path, name: str) -> None:
    offered()[name].check(b"[3]")
    (shop / "its_shop.py").write_text(SHOP.replace(": int", ": list[int]"))
    del sys.modules["its_shop"]
    again = offered()
    with pytest.raises(BadArguments, match="expected `array`, got `int`"):
        again[name].check(b"[3]")


def test_a_name_that_is_wrong_is_told_beside_those_that_there_are() -> None:
    with pytest.raises(LoadError, match=r"its_shop has no 'ap'; its applications: app$"):
        load((), None, read_application("its_shop:ap", {}, "its.toml"))


def test_the_catalog_tells_the_limit_that_holds_if_there_is_one(shop: Path) -> None:
    (shop / "its_shop.py").write_text(SHOP.replace('name="shop.price"', 'name="shop.price", time_limit=7'))
    registry = offered()
    assert registry["price"].catalog_entry().timeout_s == 7
    assert registry["pack"].catalog_entry().timeout_s is None


def test_a_task_that_cannot_be_offered_keeps_no_other_back(shop: Path) -> None:
    (shop / "its_shop.py").write_text(SHOP.replace('"shop.price"', '"shop/price"'))
    with structlog.testing.capture_logs() as logs:
        assert {name for name, one in offered().items() if isinstance(one, ApplicationTask)} == {
            "its_shop.pack"
        }
    (told,) = (one for one in logs if one["event"] == "celery_task_left_out")
    assert '[celery."shop/price"] name' in told["reason"]
    table = {"shop/price": {"name": "price"}}
    assert "price" in load((), None, read_application("its_shop:app", table, "its.toml"))
