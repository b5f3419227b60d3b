"""The settings of a cloud node and of the machines that work for it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from broker.contract.address import Address
from broker.contract.topics import CLOUD, Weight
from broker.engines.options import Listen
from broker.errors import SettingsError
from broker.programs.logs import LogFormat, LogLevel
from broker.security.certificates import TlsFiles
from fog_node.commands.reload import ReloadSettings
from fog_node.settings import NodeSettings, Workers, workers_option
from fog_tasks.redis_url import redis_url


def _one_of_each() -> Workers:
    return {Weight.LIGHT: 1, Weight.MEDIUM: 1, Weight.HEAVY: 2}


@dataclass(frozen=True, kw_only=True)
class CloudSettings(NodeSettings):
    """A cloud node: what every node has, and no ways to other nodes."""

    name: Annotated[str, typer.Option(help="The node's name, one level of a topic.")] = CLOUD
    listen: Listen = Address("localhost", 1884)
    workers: Annotated[Workers, workers_option("light=1,medium=1,heavy=2")] = field(
        default_factory=_one_of_each
    )


@dataclass(frozen=True, kw_only=True)
class CloudReloadSettings(ReloadSettings):
    """Which cloud node is told to reload."""

    name: Annotated[str, typer.Option(help="The node's name.")] = CLOUD


@dataclass(frozen=True, kw_only=True)
class WorkerMachineSettings:
    """A machine that only runs workers, for a cloud node elsewhere."""

    redis: Annotated[
        str,
        typer.Option(metavar="URL", help="The Redis of the cloud node, redis://HOST:PORT/DB or rediss://…."),
    ] = ""
    ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The authority that has signed the certificate of Redis, PEM."),
    ] = None
    cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The certificate to show to Redis, PEM.")
    ] = None
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The key of --cert, PEM without a password.")
    ] = None
    name: Annotated[str, typer.Option(help="The name of the cloud node to work for.")] = CLOUD
    tasks: Annotated[
        list[str],
        typer.Option(metavar="FILE|MODULE", help="The same tasks as the cloud node has; may be repeated."),
    ] = field(default_factory=list)
    workers: Annotated[Workers, workers_option("light=1,medium=1,heavy=2")] = field(
        default_factory=_one_of_each
    )
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds that running tasks get to finish when it is told to stop.")
    ] = 15.0
    log_level: Annotated[LogLevel, typer.Option(help="The least severe log lines to write.")] = LogLevel.INFO
    log_format: Annotated[LogFormat, typer.Option(help="How log lines are written to stderr.")] = (
        LogFormat.AUTO
    )

    def __post_init__(self) -> None:
        if not self.redis:
            raise SettingsError("--redis URL is missing; name the Redis that the cloud node uses")
        self.redis_url()

    def redis_url(self) -> str:
        """The Redis as its clients are told of it. Raises SettingsError."""
        return redis_url(self.redis, TlsFiles(cert=self.cert, key=self.key, ca=self.ca))
