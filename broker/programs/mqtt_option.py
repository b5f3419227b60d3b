"""The flag `--mqtt` of every program that is a client of brokers."""

from typing import Any

import typer

from broker.contract.mqtt_version import MqttVersion


def mqtt_option(about: str) -> Any:
    """The flag, of a program where it says `about` whose connections it decides."""
    return typer.Option(
        parser=read_version,
        metavar="3|5",
        envvar="FOG_MQTT",
        help=f"The version of MQTT {about}, and no other; 3 is 3.1.1.",
        show_default="5, and 3.1.1 where 5 is refused",
    )


def read_version(given: object) -> MqttVersion:
    """Read the flag's value, from a file a number. Raises typer.BadParameter."""
    match str(given):
        case "3":
            return 3
        case "5":
            return 5
    raise typer.BadParameter(f"{str(given)!r} is not a version of MQTT that is spoken here; it is 3 or 5")
