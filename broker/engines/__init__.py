"""Brokers that a node can have: its own embedded one, a Mosquitto it starts, or one elsewhere."""
