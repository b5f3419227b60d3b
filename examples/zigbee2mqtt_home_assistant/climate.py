"""What a room's temperature and humidity mean for its walls. rules.toml says when these run."""

from math import exp, log
from typing import Annotated

from msgspec import Meta

from weighbridge import task

Humidity = Annotated[float, Meta(gt=0, le=100)]
"""Relative, in percent."""

SLOPE, OFFSET = 17.625, 243.04
"""Alduchov and Eskridge, "Improved Magnus Form Approximation of Saturation Vapor Pressure" (1996)."""

MOULD = 80.0
"""Percent of humidity at a wall from which on mould grows (DIN 4108-2)."""


@task
def dew_point(temperature: float, humidity: Humidity) -> float:
    """Degrees to which the air may cool until water condenses."""
    gamma = log(humidity / 100) + _exponent(temperature)
    return round(OFFSET * gamma / (SLOPE - gamma), 1)


@task
def mould(temperature: float, humidity: Humidity, colder: float) -> bool:
    """Whether mould can grow on a wall that is so many degrees colder than the air."""
    return humidity * exp(_exponent(temperature) - _exponent(temperature - colder)) >= MOULD


def _exponent(temperature: float) -> float:
    return SLOPE * temperature / (OFFSET + temperature)
