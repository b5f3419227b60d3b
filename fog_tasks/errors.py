"""The errors around a task, beside those that the task itself raises."""

from broker.errors import WeighbridgeError


class DeclarationError(WeighbridgeError):
    """Raised when a function cannot be a task as it is declared."""


class LoadError(WeighbridgeError):
    """Raised when a file or a module of tasks cannot be loaded."""


class BadArguments(WeighbridgeError):
    """Raised when arguments are not what a task takes; names the parameter and what it expects."""


class BadResult(WeighbridgeError):
    """Raised when what a task returned cannot be written as JSON."""


class NotRetried(WeighbridgeError):
    """Raised when a Celery task asks to be tried again where only Celery's own workers could do so."""


class TaskEnded(WeighbridgeError):
    """Raised in a worker in place of what would have ended its process, such as SystemExit."""
