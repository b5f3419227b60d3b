"""What `weighbridge` offers, and that it loads no more than what is used."""

import inspect
import subprocess
import sys

import pytest

import weighbridge
from broker.errors import WeighbridgeError
from device_sim import errors as of_devices
from fog_tasks import errors as of_tasks

MQTT = ("paho", "broker.client", "broker.engines", "broker.links", "device_sim")
CELERY = ("celery", "kombu", "redis", "fog_tasks", "fog_node")


def test_the_index_is_sorted_and_everything_in_it_is_there() -> None:
    assert weighbridge.__all__ == sorted(weighbridge.__all__)
    assert dir(weighbridge) == weighbridge.__all__
    assert all(getattr(weighbridge, name).__name__ == name for name in weighbridge.__all__)


def test_every_error_that_a_user_meets_is_in_it() -> None:
    errors = {
        name
        for module in (of_devices, of_tasks)
        for name, one in vars(module).items()
        if inspect.isclass(one) and issubclass(one, WeighbridgeError)
    }
    # A task's own code meets neither: a worker raises them when the task is over.
    assert errors - {"NotRetried", "TaskEnded"} <= set(weighbridge.__all__)


def test_a_name_that_is_not_in_it_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'weighbridge' has no attribute 'Devise'"):
        _ = weighbridge.Devise


@pytest.mark.parametrize(
    ("line", "absent"),
    [
        ("import weighbridge", (*MQTT, *CELERY, "broker", "typing")),
        ("from weighbridge import BadArguments, LoadError, progress, task", MQTT),
        ("from weighbridge import Device, NoAnswer, TaskFailed", CELERY),
    ],
)
def test_only_what_is_used_is_loaded(line: str, absent: tuple[str, ...]) -> None:
    show = f"{line}; import sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True).stdout
    found = [name for name in loaded.split() if name.startswith(tuple(f"{one}." for one in absent))]
    assert not set(absent) & set(loaded.split())
    assert not found
