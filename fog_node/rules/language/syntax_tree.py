"""What a JMESPath expression is made of, as the library's parser tells it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]

_ORDERS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_OF_SEVERAL = {"and_expression", "or_expression", "not_expression", "comparator", "function_expression"}
"""What asks all its parts about the same value: not so a pipe, or a filter's condition."""


def functions(tree: Node) -> Iterator[str]:
    """The names of the functions that are called."""
    return (node["value"] for node in _nodes(tree) if node["type"] == "function_expression")


def is_reference(node: Node) -> bool:
    """Whether a reference to an expression is, or is in, what is found: only functions can do with one."""
    if node["type"] in {"expref", "function_expression"}:
        return bool(node["type"] == "expref")
    return any(map(is_reference, _children(node)))


def order_fault(tree: Node) -> str | None:
    """Say what is wrong with a `<`, `<=`, `>` or `>=` beside a literal that has no order with numbers.

    Text that is no number may stand there: the library orders texts, such as times, among themselves.
    """
    for node in _nodes(tree):
        if node["type"] == "comparator" and node["value"] in _ORDERS:
            for side in node["children"]:
                if side["type"] == "literal" and not _has_order(side["value"]):
                    sign, literal = _ORDERS[node["value"]], json.dumps(side["value"], ensure_ascii=False)
                    return f"{sign} {literal} is true of no number: a number stands in backticks, `5`"
    return None


def paths(tree: Node) -> Iterator[str]:
    """The paths that an expression asks the payload for, such as `ENERGY.Power`; each is an expression."""
    if tree["type"] in _OF_SEVERAL:
        for child in _children(tree):
            yield from paths(child)
    else:
        text = _written(tree)
        if text is not None:
            yield text


def _has_order(literal: Any) -> bool:
    if isinstance(literal, str):
        return not re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?\s*", literal)
    return isinstance(literal, int | float) and not isinstance(literal, bool)


def _written(node: Node) -> str | None:
    """A path of names and numbers as text; None of anything else."""
    match node["type"]:
        case "current":
            return "@"
        case "field":
            name: str = node["value"]
            return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else json.dumps(name)
        case "index":
            return f"[{node['value']}]"
        case "subexpression" | "index_expression":
            steps = [_written(child) for child in _children(node)]
            between = "." if node["type"] == "subexpression" else ""
            return None if None in steps else between.join(map(str, steps))
        case _:
            return None


def _nodes(tree: Node) -> Iterator[Node]:
    yield tree
    for child in _children(tree):
        yield from _nodes(child)


def _children(node: Node) -> Iterator[Node]:
    # A slice has numbers, and None for what is left out, in their place.
    return (child for child in node["children"] if isinstance(child, dict))
