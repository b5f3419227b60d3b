"""The door to a Celery application: its tasks, sent to its own broker and run by its own workers."""
