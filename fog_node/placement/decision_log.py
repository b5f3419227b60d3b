"""Writes each decision into the debug log, with every place that was not chosen and why."""

import logging
from dataclasses import asdict

import structlog

from fog_node.jobs.job import Job
from fog_node.placement.placer import Note
from fog_node.placement.policies.explanation import explain
from fog_node.placement.policies.situation import Decision, Work

log = structlog.get_logger()


def decision_log() -> Note:
    """What notes decisions in the log. The level is looked at once: each task would pay for the question."""
    return _log_decision if log.is_enabled_for(logging.DEBUG) else _ignore


def _log_decision(job: Job, work: Work, decision: Decision) -> None:
    log.debug(
        "placed",
        device=job.device,
        id=job.id,
        task=job.task,
        weight=job.weight,
        why=decision.why,
        candidates=[{**asdict(line), "place": str(line.place)} for line in explain(work, decision)],
    )


def _ignore(_job: Job, _work: Work, _decision: Decision) -> None:
    pass
