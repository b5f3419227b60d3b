"""What runs: the `@task` decorator, the registry of tasks, and the Celery workers that run them."""

from tasks.errors import BadArguments, BadResult, DeclarationError, LoadError
from tasks.loading import load
from tasks.progress import progress
from tasks.registry import Registry
from tasks.task import Task, task

__all__ = [
    "BadArguments",
    "BadResult",
    "DeclarationError",
    "LoadError",
    "Registry",
    "Task",
    "load",
    "progress",
    "task",
]
