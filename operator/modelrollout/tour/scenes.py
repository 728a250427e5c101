"""The two scenes of the tour: what is true in each, and what both judges make of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from modelrollout.api import scalars
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.tour import threshold, virtual
from modelrollout.tour.virtual import Instant, Nature

MOST_ERRORS: Final = 0.01
"""The fixed threshold: at least 99 % of requests succeed."""
_LONGEST_S: Final = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What is true, and what it teaches.

    Attributes:
        title, truth: for people.
        requests_per_s: of the service.
        old, new: true shares of errors of both versions.
        should: the outcome that is right, `Promoted` or `RolledBack`.
        lesson: what is to be seen.
    """

    title: str
    truth: str
    requests_per_s: float
    old: float
    new: float
    should: str
    lesson: str


SCENES: Final = (
    Scene(
        "A healthy model",
        "Nothing is wrong: the new version fails in 1.0 % of requests, as the old one always has.",
        60.0,
        old=0.010,
        new=0.010,
        should="Promoted",
        lesson="A fixed limit does not know what is usual here. The comparison does.",
    ),
    Scene(
        "A harmful model",
        "The new version fails four times as often: 0.60 % instead of 0.15 % of requests.",
        300.0,
        old=0.0015,
        new=0.006,
        should="RolledBack",
        lesson="Harm below a fixed limit passes unseen. The comparison finds it in minutes.",
    ),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One judge at one instant.

    Attributes:
        at_s: virtual seconds since the beginning.
        weight: share of the new version.
        says: what it has found so far.
        outcome: `Promoted` or `RolledBack`, "" while it goes on.
    """

    at_s: float
    weight: float
    says: str
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One judge's whole rollout, from the first frame to its outcome."""

    name: str
    frames: Sequence[Frame]

    @property
    def outcome(self) -> str:
        """How it ended."""
        return self.frames[-1].outcome

    @property
    def ended_s(self) -> float:
        """When it ended."""
        return self.frames[-1].at_s

    def at(self, at_s: float) -> Frame:
        """The frame in force at an instant."""
        return next((f for f in reversed(self.frames) if f.at_s <= at_s), self.frames[0])


def played(scene: Scene, *, seed: int) -> tuple[Lane, Lane]:
    """Both judges on a scene: the fixed threshold, and the operator's own plan."""
    return (
        Lane(
            "a fixed threshold: at least 99 % must succeed", tuple(_by_threshold(scene, seed=seed))
        ),
        Lane(
            "modelrollout: at most half as many errors again as the old version",
            tuple(_by_plan(scene, seed=seed)),
        ),
    )


def _by_threshold(scene: Scene, *, seed: int) -> Iterator[Frame]:
    yield Frame(0.0, threshold.STEP_WEIGHT, "no check yet")
    for check in threshold.checks(
        requests_per_s=scene.requests_per_s,
        errors=scene.new,
        most_errors=MOST_ERRORS,
        random=np.random.default_rng(seed),
    ):
        says = (
            f"errors of the last minute {check.seen:.2%}: "
            f"{check.failed} of {threshold.MOST_FAILED} checks failed"
        )
        yield Frame(check.at_s, check.weight, says, check.outcome)


def _by_plan(scene: Scene, *, seed: int) -> Iterator[Frame]:
    nature = Nature(
        scene.requests_per_s,
        {"old": {"errors": scene.old}, "new": {"errors": scene.new}},
    )
    world = virtual.World(spec(), nature, random=np.random.default_rng(seed))
    world.settle()
    for instant in world.retarget("new", within_s=_LONGEST_S):
        frame = _frame(instant)
        yield frame
        if frame.outcome:
            return


def _frame(instant: Instant) -> Frame:
    status, at_s = instant.status, instant.at_s
    rollout, shown = status.rollout, status.metrics[0].message if status.metrics else ""
    if rollout is not None and rollout.ending:
        return Frame(at_s, 0.0, rollout.ending_message, rollout.ending)
    if rollout is None and status.history:
        return Frame(at_s, 1.0, shown, status.history[-1].outcome)
    weight = scalars.parts(status.weight) / scalars.PARTS if status.weight else 0.0
    return Frame(at_s, weight, shown or status.message)


def spec() -> ModelRolloutSpec:
    """The ModelRollout of both scenes, as a user would write it."""
    versions = [{"name": name, "service": {"name": name, "port": 80}} for name in ("old", "new")]
    errors = {
        "name": "errors",
        "rate": {"events": 'http_requests_total{code=~"5.."}', "total": "http_requests_total"},
        "margin": {"relative": "50%"},
    }
    return ModelRolloutSpec.model_validate(
        {
            "versions": versions,
            "target": "old",
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "public"}]}},
            "strategy": {"canary": {"weights": [5, 25, 50], "minDuration": "3m"}},
            "analysis": {"interval": "30s", "warmUp": "30s", "metrics": [errors]},
        }
    )
