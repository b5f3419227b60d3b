"""A sensor publishes its last readings; which of them do not fit comes back.

fog-node --tasks examples/tasks/sensors.py
mosquitto_pub -t fog/tasks/light/anomalies/cold-room/1 -m '[4.1, 4.0, 4.2, 85.0, 4.1]'
"""

from dataclasses import dataclass
from statistics import fmean, median
from typing import Annotated

from msgspec import Meta

from weighbridge import task

FEWEST_READINGS = 3


@dataclass(frozen=True)
class Verdict:
    """`anomalies` are positions in the window, from 0; `scores` has one score for each reading."""

    normal: bool
    anomalies: list[int]
    scores: list[float]


@task
def anomalies(*window: float, threshold: Annotated[float, Meta(gt=0)] = 3.5) -> Verdict:
    """Find the readings that lie too far from the median of their window."""
    if len(window) < FEWEST_READINGS:
        raise ValueError(f"a window needs at least {FEWEST_READINGS} readings, not {len(window)}")
    scores = robust_scores(window)
    found = [position for position, score in enumerate(scores) if abs(score) > threshold]
    return Verdict(not found, found, [round(score, 3) for score in scores])


def robust_scores(window: tuple[float, ...]) -> list[float]:
    """Modified z-scores, 0.6745 (x - median) / MAD, which an outlier cannot hide behind its own variance.

    Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (1993), who flag above 3.5; also in the
    NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.17.
    """
    middle = median(window)
    deviations = [abs(reading - middle) for reading in window]
    # 0.6745 and 0.7979 are what the two deviations are of a normal distribution's sigma. The median of
    # the deviations is 0 where more than half of the readings are equal; then their mean has to do.
    sigma = median(deviations) / 0.6745 or fmean(deviations) / 0.7979
    return [(reading - middle) / sigma if sigma else 0.0 for reading in window]
