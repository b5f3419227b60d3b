"""What a smart plug measures becomes what its owner wants to know. rules.toml says when these run."""

from typing import Literal, TypedDict

from weighbridge import task


class Energy(TypedDict):
    """What a plug's load does now, and what it has cost today."""

    state: Literal["off", "standby", "on"]
    watts: float
    cost_today: float


@task
def energy(watts: float, kwh_today: float, price: float, standby: float = 8.0) -> Energy:
    """Say what a load does, and what it has cost today; `standby` is the most that it needs for waiting."""
    state: Literal["off", "standby", "on"] = "off" if watts < 1 else "standby" if watts <= standby else "on"
    return {"state": state, "watts": watts, "cost_today": round(kwh_today * price, 2)}


@task
def tell(plug: str, state: str) -> str:
    """A sentence for a display, a chat or a voice."""
    return f"{plug} is {state} now"


@task
def switch(to: Literal["ON", "OFF"]) -> str:
    """The command that a Tasmota device takes at `cmnd/<plug>/POWER`."""
    return to
