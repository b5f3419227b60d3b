"""MQTT itself, apart from any broker or client."""
