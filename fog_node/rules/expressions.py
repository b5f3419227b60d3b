"""JMESPath, as rules use it: compiled once, asked for each message."""

from collections.abc import Iterator, Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from broker.contract.messages import ErrorCode
from fog_node.errors import RuleFault
from fog_node.rules.content import Content
from fog_node.rules.faults import Misfit


class Expression:
    """One expression. Raises RuleFault where it is none."""

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            self._compiled = jmespath.compile(text)
        except (JMESPathError, RecursionError) as fault:
            said = str(fault).partition("\n")[0].rstrip(":")
            raise RuleFault(
                f'{text!r} is no JMESPath ({said}); text is written "\'text\'", numbers "`5`"'
            ) from fault
        if _is_reference(self._compiled.parsed):
            raise RuleFault(f"{text!r}: & stands before what a function is given, as in sort_by(@, &name)")
        for name in _functions(self._compiled.parsed):
            if name not in Functions.FUNCTION_TABLE:
                known = ", ".join(sorted(Functions.FUNCTION_TABLE))
                raise RuleFault(f"{text!r}: JMESPath has no function {name}; it has {known}")

    def of(self, content: Content) -> Any:
        """What it finds in a payload; None where there is nothing. Raises Misfit."""
        value = content.value
        try:
            return self._compiled.search(value)
        except TypeError:
            # The library compares text with numbers as Python does; JMESPath says that is null.
            return None
        except (JMESPathError, ArithmeticError, ValueError, RecursionError) as fault:
            raise Misfit(ErrorCode.BAD_ARGUMENTS, f"{self._text}: {fault}") from fault

    def holds(self, content: Content) -> bool:
        """Whether what it finds is true to JMESPath: all but false, null and what is empty. Raises Misfit."""
        found = self.of(content)
        return found is not None and found is not False and found not in ("", [], {})


def _is_reference(node: Mapping[str, Any]) -> bool:
    """Whether a reference to an expression is, or is in, what is found: only functions can do with one."""
    if node["type"] in {"expref", "function_expression"}:
        return bool(node["type"] == "expref")
    return any(_is_reference(child) for child in node["children"] if isinstance(child, dict))


def _functions(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _functions(child)
