"""What nodes publish, written for people and for pipes: the views of `watch` and `nodes`. No I/O."""

from rich import box
from rich.table import Table
from rich.text import Text

from broker.contract.messages import (
    Catalog,
    Load,
    NodeState,
    Outcome,
    Progress,
    TaskError,
    decode_catalog,
    decode_outcome,
    decode_progress,
    decode_state,
)
from broker.contract.topics import (
    CATALOG_FILTER,
    STATE_FILTER,
    CatalogTopic,
    ProgressTopic,
    ResultTopic,
    StateTopic,
    parse,
    progress_filter,
    result_filter,
)
from broker.errors import BadPayload, BadTopic

EVERY_DEVICE = "+"
LONGEST_VALUE = 60


def watch_filters(device: str | None, *, states: bool) -> tuple[str, ...]:
    """What to subscribe to for one device, or for all."""
    wanted = EVERY_DEVICE if device is None else device
    tasks = (result_filter(wanted), progress_filter(wanted))
    return (*tasks, STATE_FILTER) if states else tasks


def plain_line(topic: str, payload: bytes) -> str:
    """One message on one line, as `mosquitto_sub -v` writes it: the topic, a space, the payload."""
    return f"{topic} {payload.decode('utf-8', 'replace')}".replace("\n", " ")


def styled_line(topic: str, payload: bytes) -> Text:
    """One message on one line, for a person."""
    try:
        match parse(topic):
            case ResultTopic(device, id):
                return _outcome_line(device, id, decode_outcome(payload))
            case ProgressTopic(device, id):
                return _progress_line(device, id, decode_progress(payload))
            case StateTopic():
                return _state_line(decode_state(payload))
            case _:
                return Text(plain_line(topic, payload))
    except (BadTopic, BadPayload) as fault:
        return Text.assemble((f"{topic} ", "red"), str(fault))


def _outcome_line(device: str, id: str, outcome: Outcome) -> Text:
    way = " < ".join(reversed(outcome.route)) or outcome.node
    times = f"{outcome.total_ms:.1f} ms (waited {outcome.waited_ms:.1f}, ran {outcome.ran_ms:.1f})"
    if isinstance(outcome.error, TaskError):
        end = (f"{outcome.error.code}: {outcome.error.message}", "red")
    else:
        end = (_shortened(bytes(outcome.value).decode() if outcome.value else ""), "green")
    return Text.assemble((f"{device}/{id} ", "bold"), f"{outcome.task} = ", end, (f"  {way}  {times}", "dim"))


def _progress_line(device: str, id: str, step: Progress) -> Text:
    percent = "" if step.percent is None else f" {step.percent:g} %"
    return Text.assemble(
        (f"{device}/{id} ", "bold"), f"{step.task} ", (f"{step.stage}{percent}", "cyan"), f" at {step.node}"
    )


def _state_line(state: NodeState) -> Text:
    mark = ("online", "green") if state.online else ("offline", "red")
    loads = "  ".join(f"{weight} {_load(load)}" for weight, load in state.load.items())
    return Text.assemble((f"{state.node} ", "bold"), mark, (f"  {loads}", "dim"))


def _load(load: Load) -> str:
    return f"{load.running}/{load.slots} run, {load.queued} wait {load.estimated_wait_ms:.0f} ms"


def _shortened(value: str) -> str:
    return value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 1]}…"


class NodeBook:
    """What is known of each node, from its state and its catalog."""

    filters = (STATE_FILTER, CATALOG_FILTER)

    def __init__(self) -> None:
        self.states: dict[str, NodeState] = {}
        self.catalogs: dict[str, Catalog] = {}

    def add(self, topic: str, payload: bytes) -> None:
        """Note a message; what cannot be read is left out."""
        try:
            match parse(topic):
                case StateTopic(node):
                    self.states[node] = decode_state(payload)
                case CatalogTopic(node):
                    self.catalogs[node] = decode_catalog(payload)
                case _:
                    pass
        except (BadTopic, BadPayload):
            return

    def table(self, *, tasks: bool = True) -> Table:
        """One row a node, with or without the tasks it offers."""
        table = Table("node", "state", "version", "load", box=box.SIMPLE_HEAD)
        if tasks:
            table.add_column("tasks")
        for node in sorted({*self.states, *self.catalogs}):
            table.add_row(node, *self._state_cells(node), *([self._tasks(node)] if tasks else []))
        return table

    def _state_cells(self, node: str) -> tuple[str, str, str]:
        state = self.states.get(node)
        if state is None:
            return ("unknown", "", "")
        mark = "[green]online[/]" if state.online else "[red]offline[/]"
        trouble = "".join(f"\n[yellow]{one}[/]" for one in state.trouble)
        return (
            f"{mark}{trouble}",
            state.version,
            "\n".join(f"{weight} {_load(load)}" for weight, load in state.load.items()),
        )

    def _tasks(self, node: str) -> str:
        catalog = self.catalogs.get(node)
        return "\n".join(f"{one.task} ({one.weight})" for one in catalog.tasks) if catalog else ""
