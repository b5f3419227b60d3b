"""Devices: the client library, simulated fleets and their reports, and the demo."""
