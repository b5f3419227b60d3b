"""What `--celery` and the table `[celery]` may say."""

from typing import Any

import pytest

from broker.contract.topics import Weight
from broker.errors import SettingsError
from fog_tasks.application.settings import ApplicationTable, TaskTable, read_application

URLS = {"broker": "redis://localhost", "backend": "redis://localhost"}


def test_without_flag_and_table_there_is_no_application() -> None:
    assert read_application(None, {}, "fog.toml") is None


def test_the_flag_wins_over_the_file() -> None:
    found = read_application("shop:app", {"app": "other:app", "lease": 5}, "fog.toml")
    assert found is not None
    assert found.about == ApplicationTable(app="shop:app", lease=5.0)


def test_tables_of_tasks_stand_beside_the_keys() -> None:
    table = {"app": "shop:app", "shop.resize": {"weight": "heavy", "timeout": 20, "terminate": True}}
    found = read_application(None, table, "fog.toml")
    assert found is not None
    assert found.tasks == {"shop.resize": TaskTable(weight=Weight.HEAVY, timeout=20.0, terminate=True)}


def test_a_name_with_dots_may_stand_without_quotes() -> None:
    """TOML takes each part of it for a table."""
    table = {"app": "shop:app", "shop": {"tasks": {"resize": {"weight": "light"}, "pack": {}}}}
    found = read_application(None, table, "fog.toml")
    assert found is not None
    assert found.tasks == {
        "shop.tasks.resize": TaskTable(weight=Weight.LIGHT),
        "shop.tasks.pack": TaskTable(),
    }


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"aap": "shop:app"}, "fog.toml: [celery] has no key 'aap'; there are app, broker,"),
        ({"app": 3}, "fog.toml: [celery]: key 'app': Expected `str | null`, got `int`; the keys are app,"),
        ({"app": "a:b", "lease": 0}, "fog.toml: [celery]: key 'lease': Expected `float` > 0.0;"),
        (
            {"app": "a:b", "t": {"weight": "fat"}},
            "key 'weight': Invalid enum value 'fat'; the keys are",
        ),
        ({"app": "a:b", "t": {"wait": 3}}, 'fog.toml: [celery."t"]: Object contains unknown field `wait`;'),
        ({"broker": "redis://localhost"}, 'fog.toml: [celery] needs app = "MODULE:APP", or broker and'),
        (URLS, "fog.toml: [celery] names no tasks: without app, each has a table of its own"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_what_is_allowed(
    table: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read_application(None, table, "fog.toml")
    assert sentence in str(refused.value)
