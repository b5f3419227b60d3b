"""A load generator that costs little: many devices of raw MQTT 3.1.1 in one process."""
