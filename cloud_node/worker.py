"""Workers for a cloud node on a machine of their own."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from broker.errors import WeighbridgeError
from broker.programs.logs import end_with, set_up_logs
from broker.programs.pid_file import PidFile
from broker.programs.processes import Supervisor, keep_all
from broker.programs.stop_signals import on_stop_signals
from cloud_node.settings import WorkerMachineSettings
from fog_node.errors import RedisAway
from fog_node.infrastructure.background import Background
from fog_node.infrastructure.redis_server import ping
from fog_node.infrastructure.workers import worker_programs
from fog_tasks.running.settings import WorkerSettings

log = structlog.get_logger()


def run_workers(settings: WorkerMachineSettings) -> None:
    """Run the workers until SIGTERM, SIGHUP or Ctrl-C; they finish the tasks that run then."""
    set_up_logs(level=settings.log_level, format=settings.log_format, program=f"workers of {settings.name}")
    try:
        asyncio.run(_run(settings))
    except WeighbridgeError as fault:
        end_with(fault, settings.log_format)


async def _run(settings: WorkerMachineSettings) -> None:
    stop = asyncio.Event()
    on_stop_signals(lambda _: stop.set())
    redis_url = settings.redis_url()
    try:
        await ping(redis_url)
    except RedisAway as fault:
        log.warning("redis_unreachable", reason=str(fault), next_step="the workers go on trying")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weighbridge-workers-")))
        common = WorkerSettings(
            node=settings.name,
            redis_url=redis_url,
            tasks=settings.tasks,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )
        pid_file = PidFile(folder / "processes.json")
        programs = worker_programs(common, settings.workers, folder, drain=settings.drain)
        keepers = [Supervisor(program, pid_file) for program in programs.values()]
        background = await stack.enter_async_context(Background())
        background.start(keep_all(keepers), name="workers")
        log.info("workers_started", workers={str(w): n for w, n in settings.workers.items()})
        await background.watch(stop.wait())
