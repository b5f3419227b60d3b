"""JMESPath, as rules use it: compiled once, asked for each message."""

import json
import re
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from broker.contract.messages import ErrorCode
from fog_node.errors import RuleFault
from fog_node.rules.language.content import Content
from fog_node.rules.language.faults import Misfit
from fog_node.rules.language.syntax_tree import functions, is_reference, order_fault, paths

_BARE_KEY = re.compile(r"(?<![\w\"'`-])(?!-?\d+\b(?!-)|[A-Za-z_](?a:\w)*(?![\w-]))[\w-]*\w")
"""A key that is no name to JMESPath unless it is in double quotes: `DS18B20-1`, `0x00158d`, `Küche`."""

_MOST_SHOWN = 40
"""Characters of a value that are shown."""


class Expression:
    """One expression. Raises RuleFault where it is none."""

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            self._compiled = jmespath.compile(text)
        except (JMESPathError, RecursionError) as fault:
            said = str(fault).partition("\n")[0].rstrip(":")
            raise RuleFault(f"{text!r} is no JMESPath ({said}); {_meant(text)}") from fault
        if is_reference(self._compiled.parsed):
            raise RuleFault(f"{text!r}: & stands before what a function is given, as in sort_by(@, &name)")
        for name in functions(self._compiled.parsed):
            if name not in Functions.FUNCTION_TABLE:
                known = ", ".join(sorted(Functions.FUNCTION_TABLE))
                raise RuleFault(f"{text!r}: JMESPath has no function {name}; it has {known}")
        disorder = order_fault(self._compiled.parsed)
        if disorder is not None:
            raise RuleFault(f"{text!r}: {disorder}")

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

    def parts(self, content: Content) -> list[str]:
        """What each path in it finds, for people: `ENERGY.Power is "6"`. Raises Misfit."""
        asked = dict.fromkeys(paths(self._compiled.parsed))
        return [_told(path, jmespath.search(path, content.value)) for path in asked]


def _told(path: str, value: Any) -> str:
    if value is None:
        return f"{path} finds nothing in the payload"
    shown = json.dumps(value, ensure_ascii=False)
    return f"{path} is {shown if len(shown) <= _MOST_SHOWN else shown[:_MOST_SHOWN] + '…'}"


def _meant(text: str) -> str:
    """What may be meant by a text that is no expression."""
    quoted = _BARE_KEY.sub(r'"\g<0>"', text)
    try:
        jmespath.compile(quoted)
    except (JMESPathError, RecursionError):
        return 'text is written "\'text\'", numbers "`5`"'
    around = "'''" if "'" in quoted else "'"
    return f"a key that is more than letters, digits and _ is put in double quotes: {around}{quoted}{around}"
