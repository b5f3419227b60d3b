"""The fog node's command line."""

from functools import partial

import typer

from broker.programs.settings import add_command, read_again
from fog_node.commands.dead import add_dead_command
from fog_node.commands.inspect import add_inspect_commands
from fog_node.commands.reload import add_reload_command
from fog_node.commands.rules import add_rules_commands
from fog_node.program import run_node
from fog_node.settings import FogSettings
from fog_node.topology import Topology

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def serve(settings: FogSettings) -> None:
    """Run a fog node: an MQTT broker that does the work published to it.

    A device publishes a task to fog/tasks/WEIGHT/TASK/DEVICE/ID and hears its outcome on
    fog/results/DEVICE/ID. Light tasks run here, medium ones here or at a neighbour, heavy ones in the cloud.

    Example: fog-node --name kitchen --listen localhost:1883, then
    mosquitto_pub -t fog/tasks/light/sum/me/1 -m '[1,2,3]'

    Prints `ready NAME mqtt://HOST:PORT` once everything answers. SIGTERM and Ctrl-C drain it: running tasks
    finish, waiting ones stay in the journal for the next start. SIGHUP is `fog-node reload`.
    """
    run_node(
        settings,
        Topology(
            address=settings.name,
            policy=settings.policy,
            cloud=settings.cloud,
            neighbours=tuple(settings.neighbour),
            discover=settings.discover,
            lease=settings.lease,
            advertise=settings.advertise or "",
        ),
        partial(read_again, app),
    )


add_command(app, FogSettings, serve)
add_dead_command(app)
add_inspect_commands(app)
add_reload_command(app, FogSettings)
add_rules_commands(app)
