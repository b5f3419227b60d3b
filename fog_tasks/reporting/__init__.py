"""Reports: what a worker says about tasks, and how that reaches its node."""
