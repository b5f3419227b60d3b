"""MQTT 3.1.1's packets, written and read. No I/O."""
