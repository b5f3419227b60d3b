"""A node at its broker: which engine serves its devices, and what the node hears there."""

from collections.abc import Callable

from broker.contract.engine import Engine
from broker.contract.mesh_filters import mesh_ask_filter, mesh_cancel_filter, mesh_task_filter, shared
from broker.contract.topics import CANCEL_FILTER, CLOUD, TASK_FILTER
from broker.engines.embedded import EmbeddedEngine
from broker.engines.external import ExternalEngine
from broker.engines.mosquitto import MosquittoEngine
from broker.engines.sole_gateway import SoleGateway
from broker.namesakes import Namesakes
from broker.programs.pid_file import PidFile
from fog_node.announcer import last_will
from fog_node.rules.rulebook import Rulebook
from fog_node.settings import NodeSettings
from fog_node.topology import Topology


def make_engine(
    settings: NodeSettings,
    topology: Topology,
    pid_file: PidFile,
    namesakes: Namesakes,
    *,
    clock: Callable[[], float],
) -> Engine:
    """The engine that serves a node's devices, not started yet; its last will is of this life.

    `clock` tells the running time.
    """
    will = last_will(settings.name, namesakes.birth)
    if settings.engine == "mosquitto":
        return MosquittoEngine(
            settings.mosquitto_settings(),
            node=settings.name,
            pid_file=pid_file,
            will=will,
            access=settings.mosquitto_access(),
            namesakes=namesakes,
            sole=_sole(settings, topology),
        )
    if settings.engine == "amqtt":
        # Whoever does not ask for amqtt does not load it.
        from broker.engines.amqtt.engine import AmqttEngine  # noqa: PLC0415

        return AmqttEngine(settings.amqtt_settings())
    if settings.engine != "embedded":
        # Of a shared subscription, Mosquitto keeps its part for a gateway that is away, and only that
        # one would get it. Without a lasting session the others get all; what was on its way to one
        # that died is asked for again by its fog node.
        return ExternalEngine(
            settings.engine,
            node=settings.name,
            will=will,
            persistent=not shares(settings, topology),
            mqtt=settings.mqtt,
            namesakes=namesakes,
            sole=_sole(settings, topology),
            known=settings.folder / "filters.json",
        )
    embedded = settings.embedded_settings(
        store=settings.folder / "broker.db", max_payload=settings.max_payload
    )
    return EmbeddedEngine(embedded, settings.access(), clock)


def filters(settings: NodeSettings, topology: Topology, rulebook: Rulebook) -> list[str]:
    """What a node takes in of what is published at its broker."""
    address, name = topology.address, settings.name
    heard = [TASK_FILTER, mesh_task_filter(address), *rulebook.filters]
    if shares(settings, topology):
        heard = [shared(one) for one in heard]
    if name != address:
        # Where a fog node asks this very gateway for what it handed over.
        heard.append(mesh_task_filter(name))
    return [*heard, CANCEL_FILTER, mesh_cancel_filter(address), mesh_ask_filter(address)]


def _sole(settings: NodeSettings, topology: Topology) -> SoleGateway | None:
    """What a gateway that shares nothing hears of others; None where there is nothing to hear."""
    is_gateway = topology.address == CLOUD and not shares(settings, topology)
    return SoleGateway(settings.name) if is_gateway else None


def shares(settings: NodeSettings, topology: Topology) -> bool:
    """Whether other gateways may take turns with this one behind its broker: each has a name of its own."""
    within = settings.engine in ("embedded", "amqtt")
    return topology.address == CLOUD and not within and settings.name != CLOUD
