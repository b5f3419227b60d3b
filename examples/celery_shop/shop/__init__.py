"""A shop: a Celery application as there are many, which knows nothing of MQTT."""
