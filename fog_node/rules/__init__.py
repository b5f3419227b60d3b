"""Rules: how a message on any topic, or the clock, becomes a task. No I/O, no clock."""
