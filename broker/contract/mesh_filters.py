"""Under which filters a node hears what other nodes send it."""

from broker.contract.filters import SHARED
from broker.contract.topics import CANCEL_FILTER, CLOUD, ROOT


def mesh_task_filter(node: str) -> str:
    """The filter under which a node hears what is handed to it."""
    return f"{ROOT}/mesh/{node}/tasks/#"


def shared(filter: str) -> str:
    """A filter that the cloud's gateways share: their broker gives each message to one of them."""
    return f"{SHARED}{CLOUD}/{filter}"


def mesh_cancel_filter(node: str) -> str:
    """The filter under which a node hears which hand-offs are taken back."""
    return f"{ROOT}/mesh/{node}/cancel/#"


def mesh_result_filter(node: str) -> str:
    """The filter under which a node hears what came of its own hand-offs."""
    return f"{ROOT}/mesh/{node}/results/+"


def mesh_ask_filter(node: str) -> str:
    """The filter under which a node hears what others ask it."""
    return f"{ROOT}/mesh/{node}/asks/#"


def mesh_wait_filter(node: str) -> str:
    """The filter under which a node hears the answers to what it asked."""
    return f"{ROOT}/mesh/{node}/waits/+"


def is_about_cancelling(filter: str) -> bool:
    """Whether a node hears by it what devices or nodes take back."""
    return filter == CANCEL_FILTER or (filter.startswith(f"{ROOT}/mesh/") and "/cancel/" in filter)
