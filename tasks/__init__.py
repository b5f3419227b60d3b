"""What runs: the `@task` decorator, the registry of tasks, and the Celery workers that run them."""

from tasks.errors import BadArguments, BadResult, DeclarationError, LoadError
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
    "progress",
    "task",
]
