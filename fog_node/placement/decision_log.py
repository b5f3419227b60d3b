"""Writes each decision into the debug log, with every place that was not chosen and why."""

import logging
from dataclasses import asdict

import structlog

from fog_node.jobs.job import Job
from fog_node.placement.policies.explanation import explain
from fog_node.placement.policies.situation import Decision, Work

log = structlog.get_logger()


def log_decision(job: Job, work: Work, decision: Decision) -> None:
    """Log where a job goes and why. Costs nothing unless debug messages are wanted."""
    if log.is_enabled_for(logging.DEBUG):
        log.debug(
            "placed",
            device=job.device,
            id=job.id,
            task=job.task,
            weight=job.weight,
            why=decision.why,
            candidates=[{**asdict(line), "place": str(line.place)} for line in explain(work, decision)],
        )
