"""Tasks: the `@task` decorator, the registry, and the Celery workers that run them."""

from fog_tasks.declaration.registry import Registry
from fog_tasks.declaration.task import Task, task
from fog_tasks.errors import BadArguments, BadResult, DeclarationError, LoadError
from fog_tasks.once import once_per_process
from fog_tasks.progress import progress

__all__ = [
    "BadArguments",
    "BadResult",
    "DeclarationError",
    "LoadError",
    "Registry",
    "Task",
    "once_per_process",
    "progress",
    "task",
]
