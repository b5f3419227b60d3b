"""The way to the workers of a Celery application."""
