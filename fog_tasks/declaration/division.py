"""Checks the `split` and `merge` of a task that can be done in parts."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from broker.contract.topics import Weight
from fog_tasks.errors import DeclarationError

Split = Callable[[dict[str, Any], int], Sequence[Mapping[str, Any]]]
"""Called with the converted arguments by name and the number of parts; returns the arguments of each part."""

Merge = Callable[[list[Any]], Any]
"""Called with the values of the parts, read from JSON, in their order; returns the value of the whole."""


def check_division(
    name: str, weight: Weight, split: Callable[..., Any] | None, merge: Callable[..., Any] | None
) -> None:
    """Check that both are there and can be called, or neither. Raises DeclarationError."""
    if split is None and merge is None:
        return
    if split is None or merge is None:
        raise DeclarationError(f"task {name!r}: split and merge go together; one of them is missing")
    if weight is not Weight.MEDIUM:
        raise DeclarationError(f"task {name!r}: only medium tasks are split among nodes, not {weight} ones")
    for what, function, count, form in (
        ("split", split, 2, "split(arguments, n)"),
        ("merge", merge, 1, "merge(results)"),
    ):
        try:
            inspect.signature(function).bind(*range(count))
        except (TypeError, ValueError):
            raise DeclarationError(
                f"task {name!r}: {what} cannot be called as {form}; see the @task documentation"
            ) from None
