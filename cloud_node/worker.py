"""Workers for a cloud node on a machine of their own."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from broker.programs.logs import set_up_logs
from broker.programs.pid_file import PidFile
from broker.programs.processes import Supervisor, keep_all
from broker.programs.stop_signals import on_stop_signals
from cloud_node.settings import WorkerMachineSettings
from fog_node.infrastructure.background import Background
from fog_node.infrastructure.workers import worker_programs
from fog_tasks.running.settings import WorkerSettings

log = structlog.get_logger()


def run_workers(settings: WorkerMachineSettings) -> None:
    """Run the workers until SIGTERM, SIGHUP or Ctrl-C; they finish the tasks that run then."""
    set_up_logs(level=settings.log_level, format=settings.log_format, program=f"workers of {settings.name}")
    asyncio.run(_run(settings))


async def _run(settings: WorkerMachineSettings) -> None:
    stop = asyncio.Event()
    on_stop_signals(lambda _: stop.set())
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weighbridge-workers-")))
        common = WorkerSettings(
            node=settings.name,
            redis_url=settings.redis,
            tasks=settings.tasks,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )
        pid_file = PidFile(folder / "processes.json")
        programs = worker_programs(common, settings.workers, folder)
        keepers = [Supervisor(program, pid_file) for program in programs.values()]
        background = await stack.enter_async_context(Background())
        background.start(keep_all(keepers), name="workers")
        log.info("workers_started", workers={str(w): n for w, n in settings.workers.items()})
        await background.watch(stop.wait())
