"""Runs the measurements: `python -m benchmarks [NAME...]`, status 1 where a target is missed."""

import argparse
import asyncio
import sys

from benchmarks import durability, idle_latency, throughput

MEASUREMENTS = {"idle": idle_latency.run, "throughput": throughput.run, "durability": durability.run}


def main() -> None:
    """Run those that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}; all if none")
    names = parser.parse_args().names or list(MEASUREMENTS)
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"there is no measurement {unknown[0]!r}; there is {', '.join(MEASUREMENTS)}")
    met = [asyncio.run(MEASUREMENTS[name]()) for name in names]
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
