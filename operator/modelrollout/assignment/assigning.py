"""The assignment in force of one rollout: its salt, its intervals, and where the user is read from.

It follows from what was written and what was decided, so that every replica, the command line and
a router agree without asking each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from modelrollout.api.ab_test import AbTest
from modelrollout.api.scalars import PARTS
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import Decision
from modelrollout.assignment import hashing, intervals
from modelrollout.assignment.intervals import Interval, Intervals


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who gets what.

    Attributes:
        salt: goes before the user's id, with a colon between them.
        intervals: of the buckets.
        header, cookie: where the user's id stands, "" where it is not there; neither of them where
            the provider itself says what tells users apart.
        stable: who serves requests that name no user, when a header or cookie is given.
        override: the header by which a tester names a version, "" for none.
    """

    salt: str
    intervals: Intervals
    header: str = ""
    cookie: str = ""
    stable: str = ""
    override: str = ""

    def version_of(self, unit: str) -> str:
        """The version that a user gets."""
        return intervals.version_of(hashing.bucket(unit, salt=self.salt), self.intervals)


def salt_of(spec: ModelRolloutSpec, *, namespace: str, name: str) -> str:
    """The salt of a rollout: as written, else another one for each release."""
    test = spec.strategy.ab_test
    return (test.salt if test else None) or f"{namespace}/{name}/{spec.target}"


def of(
    spec: ModelRolloutSpec, decision: Decision | None, *, stable: str, namespace: str, name: str
) -> Assignment:
    """The assignment of a rollout.

    Args:
        spec: as written.
        decision: as persisted; without one, what a first apply leads to.
        stable: who serves; "" for the target.
        namespace: of the rollout.
        name: of the rollout.
    """
    test, serving = spec.strategy.ab_test, stable or spec.target
    known = decision is not None and decision.shares
    shares = dict(decision.shares) if decision and known else _planned(test, stable=serving)
    present = [Interval(one.version, one.parts) for one in decision.intervals] if decision else []
    return Assignment(
        salt=salt_of(spec, namespace=namespace, name=name),
        intervals=intervals.carved(present, shares, stable=serving),
        header=(test.unit.header if test else None) or "",
        cookie=(test.unit.cookie if test else None) or "",
        stable=serving,
        override=test.overrides.header if test and test.overrides else "",
    )


def _planned(test: AbTest | None, *, stable: str) -> Mapping[str, int]:
    arms = {arm.version: arm.weight for arm in test.arms} if test else {}
    return {**arms, stable: PARTS - sum(arms.values())}
