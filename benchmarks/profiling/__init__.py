"""Where a task's time goes: a node that notes when a task passes its parts, and what it is read by."""
