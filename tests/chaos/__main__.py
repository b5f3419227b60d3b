"""`make chaos`: many tasks, many kills and stops, and a table of what each kind of fault cost."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from broker.contract.url import BrokerUrl, hide_password
from broker.errors import SettingsError
from tests.chaos.cluster import KINDS, kinds
from tests.chaos.run import Plan, Verdict, run


def main() -> None:
    """Run it; exit with status 1 if anything was lost or contradictory."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--tasks", type=int, default=12_000, help="tasks in all (default 12000)")
    parser.add_argument("--faults", type=int, default=36, help="faults in all (default 36)")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between faults (default 5)")
    parser.add_argument("--seed", type=int, default=1, help="of the order of faults (default 1)")
    parser.add_argument(
        "--engine",
        type=_engine,
        default="embedded",
        help=f"the fog node's broker: {', '.join(KINDS)} (a Mosquitto by its URL), or mqtt://HOST:PORT",
    )
    parser.add_argument(
        "--rules", action="store_true", help="devices publish as sensors, and rules make tasks of it"
    )
    options = parser.parse_args()
    plan = Plan(
        tasks=options.tasks,
        faults=options.faults,
        interval=options.interval,
        seed=options.seed,
        engine=options.engine,
        rules=options.rules,
        kinds=kinds(options.engine),
    )
    with tempfile.TemporaryDirectory(prefix="weighbridge-chaos-") as folder:
        verdict = asyncio.run(run(plan, Path(folder), lambda line: print(line, file=sys.stderr)))
    print(table(plan, verdict))
    faults = verdict.faults()
    for fault in faults:
        print(f"FAULT {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


def _engine(named: str) -> str:
    if named not in KINDS:
        try:
            BrokerUrl.parse(named)
        except SettingsError as fault:
            raise argparse.ArgumentTypeError(str(fault)) from fault
    return named


def table(plan: Plan, verdict: Verdict) -> str:
    """What happened, as Markdown."""
    ledger = verdict.ledger
    summary = (
        f"{len(ledger.submitted)} tasks, {len(ledger.struck)} faults, seed {plan.seed},"
        f" engine {hide_password(plan.engine)}{', by rules' if plan.rules else ''}:"
        f" {len(ledger.acknowledged)} acknowledged, {len(ledger.answers)} answered,"
        f" {len(ledger.lost())} lost, {len(ledger.contradictory())} contradictory,"
        f" {len(ledger.answered_twice())} answered twice,"
        f" {len(ledger.executed_again(verdict.executions))} executed more than once"
        f" ({len(verdict.again_without_a_fault())} of them without a fault between)."
    )
    lines = [
        summary,
        "",
        "| fault | times | open tasks then | next answer after, s | tasks executed again |",
        "|---|---|---|---|---|",
    ]
    for fault, times, opened, wait, again in ledger.rows(verdict.executions):
        lines.append(f"| {fault} | {times} | {opened:.0f} | {wait:.2f} | {again} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
