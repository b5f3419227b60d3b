"""What commands have in common that ask a running node."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from broker.errors import WeighbridgeError
from fog_node.commands.node_choice import NodeChoice
from fog_node.inspection.control import Found, Question, ask


@dataclass(frozen=True, kw_only=True)
class AskingSettings(NodeChoice):
    """Which node is asked, and how its answer is shown."""

    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


def asked(settings: NodeChoice, question: Question, answer: type[Found]) -> Found:
    """Its answer; exits with status 1 and a sentence where there is none."""
    try:
        return asyncio.run(ask(settings.folder, question, answer))
    except WeighbridgeError as fault:
        sys.exit(f"error: {fault}")
