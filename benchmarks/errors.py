"""What can go wrong while something is measured."""


class BenchmarkFailed(Exception):
    """Raised when a measurement cannot be made, with a sentence that says why."""
