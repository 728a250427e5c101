"""The acts of the demo, and how one knows that an act is over and how it ended."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelrollout.api.status import HistoryEntry, ModelRolloutStatus

RATE: Final = 120.0
"""Requests per second: about a third of a core for users, gateway and models together."""
LONGEST_S: Final = 240.0
"""After this time an act that is not decided counts as undecided."""


class Outcome(StrEnum):
    """How an act can end."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Act:
    """One release.

    Attributes:
        target: the version that is to take over.
        story: what it is, in a few words.
        expected: how the act should end.
        blamed: for a rollback, one of these words must stand in its reason; empty for any.
        healthy: nothing is wrong with the version, so that a rollback is bad luck of stated size.
    """

    target: str
    story: str
    expected: Outcome
    blamed: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Nothing is wrong with the version."""
        return self.expected is Outcome.PROMOTED


ACTS: Final = (
    Act("v1b", "an exact copy of v1: nothing is wrong with it", Outcome.PROMOTED),
    Act("v2", "a better model", Outcome.PROMOTED),
    Act(
        "v3",
        "technically perfect and wrong: trained with one preprocessing, served with another",
        Outcome.ROLLED_BACK,
        blamed=("quality",),
    ),
    Act("v4", "a good model whose server runs out of memory under load", Outcome.ROLLED_BACK),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """An act that is over.

    Attributes:
        outcome: how it ended.
        entry: what the operator wrote into the rollout's history; None where it decided nothing.
    """

    outcome: Outcome
    entry: HistoryEntry | None = None

    @property
    def reason(self) -> str:
        """Why, in the operator's words."""
        if self.entry is None:
            return "no decision in the time given"
        return f"{self.entry.reason}: {self.entry.message}" if self.entry.message else ""

    def as_it_should(self, act: Act) -> bool:
        """Whether the act ended as expected, and for the right reason."""
        blames = not act.blamed or any(word in self.reason for word in act.blamed)
        return self.outcome is act.expected and blames


def ended(act: Act, status: ModelRolloutStatus, *, since: float) -> Ended | None:
    """How the act ended, None while it goes on.

    Args:
        act: the act.
        status: of the ModelRollout, as seen now.
        since: when the act began, seconds since the epoch; older history is not meant.
    """
    if status.rollout is not None:
        return None
    mine = [
        entry
        for entry in status.history
        if entry.candidate.name == act.target and entry.ended_at >= since
    ]
    if not mine:
        return None
    promoted = status.stable is not None and status.stable.name == act.target
    return Ended(Outcome.PROMOTED if promoted else Outcome.ROLLED_BACK, mine[-1])
