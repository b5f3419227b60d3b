"""Inside a worker: the Celery application, and one task's run within its limits."""
