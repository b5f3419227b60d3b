"""Running jobs here: queues, messages to Celery workers, and their reports."""
