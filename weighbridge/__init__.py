"""What you import: `from weighbridge import task, progress, Device`, and the errors that you may meet.

A name is imported when it is first used, so that a worker loads no MQTT client and a device no Celery.
"""

# Not typing's: programs.py must be first to see what Python imports.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from broker.errors import WeighbridgeError
    from device_sim.client.device import Device, DeviceSettings
    from device_sim.client.pending import Pending
    from device_sim.errors import *
    from fog_tasks import (
        BadArguments,
        BadResult,
        DeclarationError,
        LoadError,
        Task,
        once_per_process,
        progress,
        task,
    )

__all__ = [
    "ArgumentsRefused",
    "BadArguments",
    "BadResult",
    "Cancelled",
    "DeclarationError",
    "Device",
    "DeviceClosed",
    "DeviceError",
    "DeviceSettings",
    "Expired",
    "Forbidden",
    "LoadError",
    "NoAnswer",
    "NodeUnreachable",
    "Overloaded",
    "PayloadRefused",
    "Pending",
    "RateLimited",
    "Task",
    "TaskFailed",
    "TaskRaised",
    "TimedOut",
    "TooLarge",
    "TopicRefused",
    "UnknownTask",
    "UnreadableAnswer",
    "Unroutable",
    "WeighbridgeError",
    "once_per_process",
    "progress",
    "task",
]

_TASKS = (
    "BadArguments",
    "BadResult",
    "DeclarationError",
    "LoadError",
    "Task",
    "once_per_process",
    "progress",
    "task",
)
_HOMES = {
    **dict.fromkeys(_TASKS, "fog_tasks"),
    "Device": "device_sim.client.device",
    "DeviceSettings": "device_sim.client.device",
    "Pending": "device_sim.client.pending",
    "WeighbridgeError": "broker.errors",
}


def __getattr__(name: str) -> object:
    """Import a name from the module that has it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "device_sim.errors")), name)


def __dir__() -> list[str]:
    return __all__
