"""The cloud node's command line."""

from functools import partial

import typer

from broker.contract.topics import CLOUD
from broker.programs.settings import add_command, read_again
from cloud_node.settings import CloudReloadSettings, CloudSettings, WorkerMachineSettings
from cloud_node.worker import run_workers
from fog_node.commands.reload import add_reload_command
from fog_node.program import run_node
from fog_node.topology import Topology

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def serve(settings: CloudSettings) -> None:
    """Run a cloud node: where fog nodes send what is too heavy for them.

    Fog nodes reach it with --cloud mqtt://HOST:PORT. Its broker is its own, or one elsewhere with
    --engine mqtt://HOST:PORT.

    Example: cloud-node --listen 127.0.0.1:1884 --workers heavy=4

    More machines join in with `cloud-node worker --redis URL`, on the same Redis.
    """
    run_node(settings, Topology(address=CLOUD), partial(read_again, app))


def worker(settings: WorkerMachineSettings) -> None:
    """Run workers for a cloud node on this machine; they share its work over its Redis.

    Example: cloud-node worker --redis redis://cloud.example:6379/0 --workers heavy=8
    """
    run_workers(settings)


add_command(app, CloudSettings, serve)
add_command(app, WorkerMachineSettings, worker, name="worker", beside=CloudSettings)
add_reload_command(app, CloudSettings, CloudReloadSettings)
