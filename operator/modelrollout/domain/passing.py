"""One pass over a rollout: what is known, what has changed so far, what is to be told.

Every room of the decision works on a `Pass`: it reads spec and observed world, puts changes into
the status, moves the state machine by the table, and tells events. Nothing else has side effects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelrollout.analysis.verdicts import Judgement
from modelrollout.api.spec import ModelRolloutSpec, Version
from modelrollout.api.status import (
    AbTestStatus,
    Decision,
    HistoryEntry,
    Identity,
    Interval,
    LookStatus,
    ModelRolloutStatus,
    Rejection,
    Rollout,
)
from modelrollout.assignment import intervals
from modelrollout.domain import book as books
from modelrollout.domain import steps as stepping_plan
from modelrollout.domain import transitions, weighing
from modelrollout.domain.book import Book
from modelrollout.domain.observed import Observed, VersionSeen
from modelrollout.domain.planned import Event, EventType, Move
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.transitions import Phase, Trigger

KEPT = 10
"""How many rejections and past rollouts the status remembers."""


@dataclass(slots=True)
class Pass:
    """One pass.

    Attributes:
        now: seconds since the epoch.
        spec, observed: what is wanted and what is seen.
        status: as changed so far.
        events: told so far.
        moves: made so far.
        waiting: why nothing moves now, for people.
        refused: why the resource is not accepted; then nothing goes forward, but every way back
            to stable stays open.
    """

    now: float
    spec: ModelRolloutSpec
    observed: Observed
    status: ModelRolloutStatus
    events: list[Event] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    waiting: Reason | None = None
    refused: Reason | None = None
    _book: Book | None = None
    _is_changed: bool = False
    _said: dict[str, Judgement] | None = None
    _steps: tuple[stepping_plan.Step, ...] = ()

    @property
    def phase(self) -> Phase:
        """Where the rollout stands."""
        return phase_of(self.status)

    @property
    def rollout(self) -> Rollout:
        """The rollout under way.

        Raises:
            RuntimeError: when there is none: a bug of ours.
        """
        if self.status.rollout is None:
            raise RuntimeError("no rollout is under way")
        return self.status.rollout

    @property
    def test(self) -> AbTestStatus:
        """The A/B test under way.

        Raises:
            RuntimeError: when there is none: a bug of ours.
        """
        if self.status.ab_test is None:
            raise RuntimeError("no A/B test is under way")
        return self.status.ab_test

    @property
    def target(self) -> str:
        """Who should serve: as written, but for the winner of a test that was to be promoted."""
        test, stable = self.status.ab_test, self.status.stable
        if test is not None and stable is not None and test.overrules == self.spec.target:
            return stable.name
        return self.spec.target

    def put_test(self, **changes: object) -> None:
        """Changes fields of the A/B test."""
        self.put(ab_test=self.test.model_copy(update=changes))

    def put(self, **changes: object) -> None:
        """Changes fields of the status."""
        self.status = self.status.model_copy(update=changes)

    def put_rollout(self, **changes: object) -> None:
        """Changes fields of the rollout under way."""
        self.put(rollout=self.rollout.model_copy(update=changes))

    def move(self, trigger: Trigger) -> None:
        """Moves by the table: the rollout under way, if there is one.

        Raises:
            transitions.IllegalMoveError: when the table has no such move: a bug of ours.
        """
        before = self.phase
        after = transitions.moved(before, trigger)
        self.moves.append(Move(before, trigger))
        if self.status.rollout is not None:
            self.put_rollout(phase=after.value)

    def book(self) -> Book:
        """The evidence, opened once per pass."""
        if self._book is None:
            self._book = books.opened(self.spec, self.status.evidence)
        return self._book

    def put_book(self, book: Book) -> None:
        """Changes the evidence."""
        self._book, self._said, self._is_changed = book, None, True

    def close_book(self) -> None:
        """Writes changed evidence into the status, at the end of the pass."""
        if self._is_changed and self._book is not None:
            self.put(evidence=books.closed(self._book))
            self._is_changed = False

    def drop_book(self) -> None:
        """Forgets all evidence."""
        self._book, self._said, self._is_changed = None, None, False
        self.put(evidence="")

    def judgements(self) -> dict[str, Judgement]:
        """What each metric says now, judged once per pass and state of the evidence."""
        if self._said is None:
            self._said = weighing.judgements(self.book(), tries=self.rollout.number)
        return self._said

    def tell(self, code: Code, sentence: str, *, warning: bool = False) -> None:
        """Tells a transition: an event, and a line in the log."""
        kind = EventType.WARNING if warning else EventType.NORMAL
        self.events.append(Event(kind, Reason(code, sentence[:1000])))

    def seen(self, name: str) -> VersionSeen:
        """What is seen of a version; one that nobody saw has nothing."""
        return self.observed.versions.get(name, VersionSeen(backend_exists=False))

    def written(self, name: str) -> Version | None:
        """The version of that name in the spec."""
        return next((version for version in self.spec.versions if version.name == name), None)

    def identity(self, name: str) -> Identity:
        """A version at the revision seen now."""
        return Identity(name=name, revision=self.seen(name).revision)

    def steps(self) -> tuple[stepping_plan.Step, ...]:
        """The steps in force; none where the strategy is refused."""
        if not self._steps and self.refused is None:
            chosen = self.status.rollout.weights if self.status.rollout else ()
            self._steps = stepping_plan.compiled(self.spec, chosen=chosen)
        return self._steps

    def choose_weights(self, weights: list[int]) -> None:
        """Sets the weights of a canary that names none."""
        self.put_rollout(weights=weights)
        self._steps = ()

    def step(self) -> stepping_plan.Step | None:
        """The present step; None before the first, and where an edit has moved it elsewhere."""
        rollout = self.status.rollout
        known = self.steps()
        if rollout is None or not 0 <= rollout.step_index < len(known):
            return None
        step = known[rollout.step_index]
        waits = not isinstance(step, stepping_plan.WeightStep)
        fits = step.share == rollout.share and waits == (self.phase is Phase.WAITING)
        return step if fits else None

    def position(self) -> int:
        """Index of the present step, or of the last weight up to the present share after an edit.

        A pause is never skipped by an edit: it is the weight before it that counts as served.
        """
        if self.step() is not None:
            return self.rollout.step_index
        below = [
            index
            for index, step in enumerate(self.steps())
            if step.share <= self.rollout.share and isinstance(step, stepping_plan.WeightStep)
        ]
        return below[-1] if below and self.rollout.step_index >= 0 else -1

    def forget_look(self) -> None:
        """The present stratum ends; counting goes on when the split is confirmed again."""
        self.put(decision=self.status.decision.model_copy(update={"confirmed_at": None}))

    def restart_look(self, at: float) -> None:
        """Counting starts anew at `at`, but never before what was counted already."""
        look = self.status.look or LookStatus(at=at)
        self.put(look=look.model_copy(update={"at": max(at, look.at), "failures": 0}))

    def rejection(self, identity: Identity) -> Rejection | None:
        """The entry that rejects this candidate, lifted or not."""
        return next(
            (
                entry
                for entry in self.status.rejected
                if (entry.name, entry.revision) == (identity.name, identity.revision)
            ),
            None,
        )

    def reject(self, identity: Identity, *, reason: str, message: str) -> None:
        """Remembers that this candidate gets no traffic until somebody lifts it."""
        old = self.rejection(identity)
        entry = Rejection(
            name=identity.name,
            revision=identity.revision,
            reason=reason,
            message=message[:1024],
            at=self.now,
            tries=max(old.tries if old else 1, self.rollout.number),
        )
        others = [other for other in self.status.rejected if other is not old]
        self.put(rejected=[*others, entry][-KEPT:])

    def record(self, outcome: str, *, reason: str, message: str) -> None:
        """Writes the rollout under way into the history."""
        if self.status.candidate is None:
            return
        entry = HistoryEntry(
            candidate=self.status.candidate,
            outcome=outcome,
            reason=reason,
            message=message[:1024],
            started_at=self.rollout.started_at,
            ended_at=self.now,
        )
        self.put(history=[*self.status.history, entry][-KEPT:])

    def put_shares(
        self, shares: dict[str, int], *, preview: str = "", tee: tuple[str, int] = ("", 0)
    ) -> None:
        """Persists split, preview and tee; a change gets the next sequence number, unconfirmed."""
        wanted = {name: share for name, share in shares.items() if share > 0}
        old = self.status.decision
        before = (old.shares, old.preview, (old.tee, old.tee_parts))
        if (wanted, preview, tee) != before:
            decision = Decision(
                sequence=max(old.sequence, self.observed.traffic.sequence) + 1,
                shares=wanted,
                intervals=self._carved(wanted),
                preview=preview,
                tee=tee[0],
                tee_parts=tee[1],
                at=self.now,
            )
            self.put(decision=decision)

    def _carved(self, shares: Mapping[str, int]) -> list[Interval]:
        """Which buckets of users belong to which version from now on: as few move as must."""
        stable = self.status.stable
        if not shares or stable is None:
            return []
        present = [
            intervals.Interval(one.version, one.parts) for one in self.status.decision.intervals
        ]
        return [
            Interval(version=one.version, parts=one.parts)
            for one in intervals.carved(present, shares, stable=stable.name)
        ]


def phase_of(status: ModelRolloutStatus) -> Phase:
    """Where a rollout stands, by its status."""
    if status.phase == Phase.TERMINATING:
        return Phase.TERMINATING
    if status.rollout is not None:
        return Phase(status.rollout.phase)
    if status.stable is None:
        return Phase.PENDING
    if status.ab_test is not None and status.ab_test.running:
        return Phase.TESTING
    return Phase.ROLLED_BACK if status.candidate is not None else Phase.SERVING
