"""Runs the measurements: `python -m benchmarks`, status 1 where a target is missed."""

import asyncio
import sys

from benchmarks import idle_latency


def main() -> None:
    """Run all of them."""
    sys.exit(0 if asyncio.run(idle_latency.run()) else 1)


if __name__ == "__main__":
    main()
