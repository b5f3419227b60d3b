"""Devices: the client library, simulated fleets and their reports, and the demo."""

from device_sim.client import Device, DeviceSettings
from device_sim.errors import (
    ArgumentsRefused,
    Cancelled,
    DeviceClosed,
    DeviceError,
    Expired,
    NoAnswer,
    NodeUnreachable,
    Overloaded,
    PayloadRefused,
    RateLimited,
    TaskFailed,
    TaskRaised,
    TimedOut,
    TooLarge,
    TopicRefused,
    UnknownTask,
    UnreadableAnswer,
    Unroutable,
)
from device_sim.pending import Pending

__all__ = [
    "ArgumentsRefused",
    "Cancelled",
    "Device",
    "DeviceClosed",
    "DeviceError",
    "DeviceSettings",
    "Expired",
    "NoAnswer",
    "NodeUnreachable",
    "Overloaded",
    "PayloadRefused",
    "Pending",
    "RateLimited",
    "TaskFailed",
    "TaskRaised",
    "TimedOut",
    "TooLarge",
    "TopicRefused",
    "UnknownTask",
    "UnreadableAnswer",
    "Unroutable",
]
