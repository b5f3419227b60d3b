"""The application. Tasks go to its workers by RabbitMQ, and results come back by it."""

import os

from celery import Celery

app = Celery(
    "shop",
    broker=os.environ.get("SHOP_BROKER", "amqp://localhost"),
    backend=os.environ.get("SHOP_BACKEND", "rpc://"),
    include=["shop.tasks"],
)
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_time_limit=300,
)
