"""The settings of a node, declared once; flags, environment and file follow from them."""

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.contract.mqtt_version import MqttVersion
from broker.contract.topics import CLOUD, WEIGHTS, Weight, level_fault
from broker.contract.url import BrokerUrl
from broker.engines.amqtt.configuration import AmqttSettings
from broker.engines.mosquitto import MosquittoAccess, MosquittoSettings
from broker.engines.options import ListenOptions
from broker.errors import SettingsError
from broker.programs.logs import LogFormat, LogLevel
from broker.programs.machine import host_name
from broker.programs.mqtt_option import mqtt_option
from broker.programs.settings_file import InFile, Table
from fog_node.mesh.advertised import address_fault
from fog_node.mesh.peer import LEASE
from fog_node.names import default_name
from fog_node.placement import load_policy
from fog_tasks.application.settings import Application, read_application
from fog_tasks.redis_url import redis_url

SHOWN_NAME = "the host's and four digits of its own"

Workers = dict[Weight, int]


def parse_workers(value: Any) -> Workers:
    """Read `light=2,medium=1,heavy=1`, or the same as a TOML table. Raises typer.BadParameter."""
    if not isinstance(value, str | dict):
        raise typer.BadParameter("this is not WEIGHT=COUNT, as in light=2,medium=1,heavy=1")
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        value = {name.strip(): count.strip() for name, _, count in pairs}
    workers = dict.fromkeys(WEIGHTS, 0)
    for name, count in value.items():
        if name not in WEIGHTS or not re.fullmatch(r"\d{1,4}", str(count)):
            raise typer.BadParameter(f"{name}={count} is not WEIGHT=COUNT, as in light=2,medium=1,heavy=1")
        workers[Weight(name)] = int(count)
    return workers


def workers_option(shown: str) -> Any:
    """The flag --workers of a program whose default is shown so."""
    about = "How many tasks of each weight run at once."
    return typer.Option(parser=parse_workers, metavar="WEIGHT=N,…", help=about, show_default=shown)


def default_folder(name: str) -> Path:
    """Where a node of this name keeps its data unless it is told otherwise. Raises SettingsError."""
    try:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError as fault:
        raise SettingsError(
            f"user {os.getuid()} has no home directory for the node's data; give --data DIR, or set HOME"
        ) from fault
    return Path(state) / "weighbridge" / name


def name_by(data: Path | None) -> str:
    """The name of a node that was given none, by its data folder, if it was given that."""
    try:
        return default_name(data or default_folder(host_name()))
    except SettingsError:
        # Whoever needs the folder says so.
        return host_name()


@dataclass(frozen=True, kw_only=True)
class WorkSettings:
    """What there is to do at a node: its tasks, and the rules that start them."""

    tasks: Annotated[
        list[str],
        typer.Option(metavar="FILE|MODULE", help="Python tasks beside the built-in ones; may be repeated."),
    ] = field(default_factory=list)
    celery: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:APP",
            help="A Celery application whose own workers run its tasks for devices, named as for celery -A.",
        ),
    ] = None
    celery_table: Annotated[
        InFile,
        Table(
            key="celery",
            about="The Celery application: `app`, or `broker` and `backend`; `lease`, `outstanding`; and a"
            ' table for each task that has something of its own, `[celery."shop.tasks.resize"]`.',
        ),
    ] = InFile()
    rules: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="Rules: a TOML file with [[rule]]; may be repeated."),
    ] = field(default_factory=list)
    rule: Annotated[
        InFile, Table(repeated=True, about="A rule: which messages, or moments, become which task.")
    ] = InFile()

    def application(self) -> Application | None:
        """The Celery application to which the node is a door. Raises SettingsError."""
        table = self.celery_table
        return read_application(self.celery, dict(table.content), table.file or "--celery")


@dataclass(frozen=True, kw_only=True)
class NodeSettings(ListenOptions, WorkSettings):
    """What every node has, in the fog and in the cloud. Durations in seconds, sizes in bytes."""

    name: Annotated[
        str,
        typer.Option(help="The node's name, one level of a topic.", show_default=SHOWN_NAME),
    ] = ""
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder for the journal and the broker's store.",
            show_default="~/.local/state/weighbridge/NAME",
        ),
    ] = None
    engine: Annotated[
        str,
        typer.Option(
            metavar="embedded|mosquitto|amqtt|mqtt://HOST:PORT",
            help="The MQTT broker: the embedded one, a Mosquitto that the node runs, amqtt's own with its"
            " plugins, or one elsewhere.",
        ),
    ] = "embedded"
    mqtt: Annotated[
        MqttVersion | None, mqtt_option("that the node speaks to other brokers: its links and --engine URL")
    ] = None
    amqtt_config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="amqtt's own configuration, YAML: its plugins, and its listeners instead of --listen.",
        ),
    ] = None
    redis: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The Redis to use, redis://HOST:PORT/DB, rediss://… (TLS) or unix://PATH.",
            show_default="a private one",
        ),
    ] = None
    workers: Annotated[Workers, workers_option("light=2,medium=1,heavy=1")] = field(
        default_factory=lambda: {Weight.LIGHT: 2, Weight.MEDIUM: 1, Weight.HEAVY: 1}
    )
    max_payload: Annotated[
        int,
        typer.Option(min=1, help="The largest payload taken, in bytes; larger ones are answered too-large."),
    ] = 4 * 1024 * 1024
    max_backlog: Annotated[
        int,
        typer.Option(
            min=1, help="How many tasks may be open at once; beyond it they are answered overloaded."
        ),
    ] = 200_000
    max_rate: Annotated[
        float, typer.Option(min=0, help="Tasks a second that a device may submit; 0 is no limit.")
    ] = 2_000.0
    max_burst: Annotated[int, typer.Option(min=1, help="Tasks that a device may submit at once.")] = 10_000
    max_open_per_device: Annotated[
        int, typer.Option(min=0, help="Tasks that a device may have open at once; 0 is no limit.")
    ] = 50_000
    task_memory: Annotated[
        int,
        typer.Option(min=0, help="MiB of address space that a task's process may have; 0 is no limit."),
    ] = 0
    task_cpu: Annotated[
        float, typer.Option(min=0, help="Seconds of processor time that a task may use; 0 is no limit.")
    ] = 0.0
    remember: Annotated[
        float, typer.Option(min=0, help="Seconds for which an outcome is kept for a device that asks again.")
    ] = 3600.0
    drain: Annotated[
        float,
        typer.Option(min=0, help="Seconds that running tasks get to finish when the node is told to stop."),
    ] = 15.0
    start_timeout: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds that the workers get to import the tasks and answer at the start; 0 is no limit.",
        ),
    ] = 600.0
    synchronous: Annotated[
        str,
        typer.Option(
            metavar="full|normal|off",
            help="How durable a commit of the journal is: full survives a power loss, normal a crash.",
        ),
    ] = "full"
    log_level: Annotated[LogLevel, typer.Option(help="The least severe log lines to write.")] = LogLevel.INFO
    log_format: Annotated[LogFormat, typer.Option(help="How log lines are written to stderr.")] = (
        LogFormat.AUTO
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name:
            # It depends on another setting, the folder.
            object.__setattr__(self, "name", name_by(self.data))
        fault = level_fault(self.name)
        if fault is not None:
            raise SettingsError(f"--name {self.name!r} {fault}; it has to be one level of a topic")
        if self.synchronous not in ("full", "normal", "off"):
            raise SettingsError(f"--synchronous {self.synchronous!r} is unknown; it is full, normal or off")
        if self.engine not in ("embedded", "mosquitto", "amqtt") and self.runs_a_broker:
            raise SettingsError(
                f"--engine {self.engine!r} is unknown; it is embedded, mosquitto, amqtt or mqtt://HOST:PORT"
            )
        if self.engine != "embedded" and self.mqtt_versions != NodeSettings.mqtt_versions:
            raise SettingsError(
                f"--mqtt-versions is for --engine embedded; leave it out with --engine {self.engine}"
            )
        if self.amqtt_config is not None and self.engine != "amqtt":
            raise SettingsError(f"--amqtt-config is for --engine amqtt, not for --engine {self.engine}")
        if self.engine == "mosquitto" and self.require_certificate:
            self._refuse_what_mosquitto_cannot()
        if self.engine == "amqtt":
            self._refuse_what_amqtt_cannot()
        self.application()
        if self.redis is not None:
            redis_url(self.redis, self.tls_files())

    @property
    def runs_a_broker(self) -> bool:
        """Whether the node's broker is its own."""
        return not self.engine.startswith(("mqtt://", "mqtts://"))

    def _refuse_what_mosquitto_cannot(self) -> None:
        if self.users is None:
            raise SettingsError(
                "--require-certificate with --engine mosquitto needs --users FILE: Mosquitto takes a name"
                " from a certificate but no role, `fog-broker user add NAME --role ROLE` gives it one"
            )
        if self.ws_tls is not None:
            raise SettingsError(
                "--ws-tls and --require-certificate do not go together with --engine mosquitto;"
                " they do with --engine embedded"
            )

    def _refuse_what_amqtt_cannot(self) -> None:
        if self.users is not None:
            raise SettingsError(
                "--users is not for --engine amqtt, which knows its users by its own plugins: name them in"
                " --amqtt-config FILE, or use --engine embedded"
            )
        if self.require_certificate:
            raise SettingsError(
                "--require-certificate is not for --engine amqtt, which lets everybody in without one; use"
                " --engine embedded"
            )

    def check_ports(self) -> None:
        # A file of amqtt's own may say where it listens.
        if self.amqtt_config is None:
            super().check_ports()

    @property
    def _knows_users(self) -> bool:
        return super()._knows_users or self.amqtt_config is not None

    @property
    def _way_to_users(self) -> str:
        if self.engine == "amqtt":
            return "name a plugin that knows them in --amqtt-config FILE"
        return super()._way_to_users

    def amqtt_settings(self) -> AmqttSettings:
        """What amqtt's broker in this process is told."""
        given = any(
            getattr(self, one) != getattr(type(self), one) for one in ("listen", "listen_tls", "ws", "ws_tls")
        )
        return AmqttSettings(
            **vars(self.own_broker(self.max_payload)),
            file=self.amqtt_config,
            listeners_given=given,
            connect_timeout=self.connect_timeout,
        )

    def mosquitto_access(self) -> MosquittoAccess | None:
        """Who may do what on a Mosquitto of the node's own; None is everybody everything.

        Raises SettingsError.
        """
        if self.users is None:
            return None
        plain = not self.listen.off or self.ws is not None
        return MosquittoAccess(
            self.users,
            allow_anonymous=self.allow_anonymous,
            certificates=self.require_certificate and not plain,
            tls=self.tls_files() if self.listen_tls or self.ws_tls else None,
        )

    def mosquitto_settings(self) -> MosquittoSettings:
        """What a Mosquitto of the node's own is told."""
        own = replace(self.own_broker(self.max_payload), window=self.max_inflight or MosquittoSettings.window)
        return MosquittoSettings(
            **vars(own),
            folder=self.folder / "mosquitto",
            allow_anonymous=self.users is None or self.allow_anonymous,
        )

    @property
    def folder(self) -> Path:
        """The data folder, whether given or not."""
        return default_folder(self.name) if self.data is None else self.data


@dataclass(frozen=True, kw_only=True)
class FogSettings(NodeSettings):
    """What a fog node has beside: the ways to other nodes."""

    cloud: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The cloud's broker, mqtt://HOST:PORT; heavy tasks go there."),
    ] = None
    neighbour: Annotated[
        list[str], typer.Option(metavar="URL", help="A neighbour fog node's broker; may be repeated.")
    ] = field(default_factory=list)
    discover: Annotated[
        bool,
        typer.Option(
            "--discover",
            help="Find neighbours by mDNS and through the cloud, and be found by mDNS: for networks and"
            " clouds where every node may be trusted.",
        ),
    ] = False
    advertise: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="This node's broker as other nodes reach it, told to those that share the cloud.",
        ),
    ] = None
    lease: Annotated[
        float,
        typer.Option(
            min=0.5, help="Seconds without a word of a task handed over, after which it is asked for again."
        ),
    ] = LEASE
    policy: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="How a place is chosen for each task; module:function for your own."
        ),
    ] = "deadline"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name == CLOUD:
            raise SettingsError(f"--name {CLOUD!r} is the cloud's address; give the fog node another name")
        for url in self.neighbour:
            _check_url("--neighbour", url)
        if self.cloud is not None:
            _check_url("--cloud", self.cloud)
        self._check_advertise()
        load_policy(self.policy)

    def _check_advertise(self) -> None:
        if self.advertise is None:
            return
        fault = address_fault(self.advertise)
        if fault is not None:
            raise SettingsError(f"--advertise {self.advertise!r}: {fault}")
        if self.cloud is None:
            raise SettingsError("--advertise tells the address to nodes that share a cloud; give --cloud too")


def _check_url(option: str, url: str) -> None:
    try:
        BrokerUrl.parse(url)
    except SettingsError as fault:
        raise SettingsError(f"{option}: {fault}") from fault
