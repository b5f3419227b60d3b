"""What workers tell their node of tasks, and how it gets there."""
