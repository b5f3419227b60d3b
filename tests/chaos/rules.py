"""The same work by rules: devices that know nothing of tasks publish, and are answered once for each number.

A light message takes two steps, of which the first one's result starts the second.
"""

from pathlib import Path

_DIRECT = """
[[rule]]
name = "{weight}"
on = "sensor/{weight}/{{device}}/{{n}}"
id = "{{n}}"
task = "noted"
weight = "{weight}"
arguments = {{ name = "{{device}}/{{n}}", ledger = "'{ledger}'", seconds = "seconds" }}
result = "{result}/{{device}}/{{n}}"
on_error = "answered/{{device}}/{{n}}"
publish = "outcome"
"""
_STEP = """
[[rule]]
name = "step"
on = "step/{{device}}/{{n}}"
task = "noted"
weight = "medium"
arguments = {{ name = "{{device}}/{{n}}{mark}", ledger = "'{ledger}'" }}
result = "answered/{{device}}/{{n}}"
on_error = "answered/{{device}}/{{n}}"
publish = "outcome"
"""

STEP = ".step"
"""What the second step's execution has behind the name of the first."""


def write(path: Path, ledger: Path) -> None:
    """Write the rules, by which the tasks note in `ledger` what they do."""
    results = {"light": "step", "medium": "answered", "heavy": "answered"}
    parts = [
        _DIRECT.format(weight=weight, ledger=ledger, result=result) for weight, result in results.items()
    ]
    path.write_text("".join(parts) + _STEP.format(ledger=ledger, mark=STEP))


def topic(weight: str, name: str) -> str:
    """Where a sensor publishes what is to be done with a weight."""
    return f"sensor/{weight}/{name}"
