"""A world whose every pass is held against the safety invariants, and that can be ill-treated.

S9 of the design concerns leadership, which is not decided here.
"""

import json
from collections.abc import Mapping
from typing import Any

from modelrollout.api.scalars import PARTS
from modelrollout.api.status import ModelRolloutStatus, to_object
from modelrollout.domain import looking
from modelrollout.domain.plan import plan
from modelrollout.domain.planned import Plan
from modelrollout.domain.steps import WeightStep, compiled
from modelrollout.domain.transitions import Phase, Trigger
from tests.stories.world import SCRAPE_S, START, World, spec

_MOVED_BY_HAND = frozenset({"PromotedByPerson", "Inconclusive"})
_NO_TRAFFIC = frozenset(
    {Phase.PENDING, Phase.SERVING, Phase.STARTING, Phase.DRAINING, Phase.ROLLED_BACK}
)


class Watched(World):
    """A world that checks what every pass decides.

    `elapsed_s` is time that really passed, whatever the clock says.
    """

    def __init__(self, written: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(written or spec(), **options)
        self.elapsed_s = 0.0
        self.jumps = 0
        self.is_edited = False
        self.lost_at: tuple[float, int] | None = None
        self.left: dict[str, tuple[float, int]] = {}
        self.looks_until: dict[tuple[str, str], float] = {}

    def turn_route(self, shares: Mapping[str, int] | None) -> None:
        """The route changes; which versions lose their traffic by it is noted."""
        before = self.route or {}
        super().turn_route(shares)
        for name in before.keys() - (self.route or {}).keys():
            self.left[name] = (self.elapsed_s, self.jumps)

    def let_pass(self, seconds: float) -> None:
        """Time passes without a pass: the operator is away."""
        self.now += seconds
        self.elapsed_s += seconds

    def jump(self, seconds: float) -> None:
        """The clock is set, and no time passes."""
        self.now = max(self.now + seconds, START)
        self.jumps += 1

    def attempt(self, *, persists: bool = True, acts: bool = True) -> Plan:
        """One pass, which may lose its write or die before it acts."""
        before = self.status
        window = looking.due(self.now, self.spec, before, scrape_interval_s=SCRAPE_S)
        self.last_window = window or self.last_window
        observed = self.observed(window)
        made = plan(self.now, self.spec, before, observed)
        again = plan(self.now, self.spec, before, observed)
        assert made == again, "the same input, another plan"
        check(self, before, made)
        if persists:
            self._remember(before, made)
            self.stored = json.loads(json.dumps(to_object(made.status)))
            assert self.status == made.status, "the status does not survive being stored"
            self.plans.append(made)
            self._tell(made)
            if acts:
                self._act(made)
        return made

    def step(self) -> Plan:
        """One pass, checked."""
        return self.attempt()

    def replay(self) -> None:
        """The last look comes once more, as after a crash between look and write."""
        if self.last_window is None or self.status.rollout is None:
            return
        before, observed = self.status, self.observed(self.last_window)
        made = plan(self.now, self.spec, before, observed)
        check(self, before, made)
        self._remember(before, made)
        self.stored = json.loads(json.dumps(to_object(made.status)))
        self.plans.append(made)
        self._act(made)

    def pass_by(self, seconds: float) -> None:
        """Lets time pass as the operator lives it: a pass whenever one is due."""
        end, passes = self.now + seconds, 0
        while not self.gone:
            made = self.attempt()
            passes += 1
            due = made.wake_at if made.wake_at is not None else self.now + 30.0
            assert made.wake_at is None or made.wake_at > self.now, "due in the past"
            due = max(due, self.now + 0.02)
            if due >= end:
                break
            self.let_pass(due - self.now)
        assert passes <= 8 + seconds / 1.5, (
            f"{passes} passes in {seconds} s: the operator is kept busy"
        )
        self.let_pass(max(0.0, end - self.now))

    def _remember(self, before: ModelRolloutStatus, made: Plan) -> None:
        after = made.status
        if _counted(before, after) and after.rollout is not None and after.look is not None:
            assert before.look is not None
            key = (after.uid, after.rollout.id)
            until = self.looks_until.get(key, 0.0)
            assert before.look.at >= until, "S10: a request counts twice"
            self.looks_until[key] = after.look.at
        ends = [move for move in made.moves if move.trigger is Trigger.END]
        if ends:
            name = before.candidate.name if before.candidate else ""
            had_traffic = before.decision.shares.get(name, 0) > 0
            is_it = ends[0].phase is not Phase.STARTING and had_traffic
            self.lost_at = (self.elapsed_s, self.jumps) if is_it else None
        if any(move.trigger is Trigger.START for move in made.moves):
            self.is_edited = False
            # New evidence. Its id tells it from the old one, but not after deletion and a clock
            # set back: the same object then begins at the same instant once more.
            self.looks_until = {}
            self.lost_at = None  # a status of another object may have forgotten a drain


def _counted(before: ModelRolloutStatus, after: ModelRolloutStatus) -> bool:
    if before.look is None or after.look is None or after.rollout is None:
        return False
    return after.look.number > before.look.number


def check(world: Watched, before: ModelRolloutStatus, made: Plan) -> None:
    """Every invariant of one pass."""
    after = made.status
    _shares(world, after, made)
    _rises(world, before, after)
    _rejected(world, after)
    _arms(world, before, after)
    _one_step(world, before, after, made)
    _drain(world, made)
    _parked(world, made)
    _previewed(after)
    _well_formed(world, before, after, made)


def _shares(world: Watched, after: ModelRolloutStatus, made: Plan) -> None:
    decided = after.decision.shares
    assert sum(decided.values()) == (PARTS if decided else 0), f"S1: {decided}"
    assert made.shares is None or made.shares == decided, "what is done is what was persisted"
    refused = any(c.type == "Accepted" and c.status == "False" for c in after.conditions)
    assert after.stable is None or decided or after.phase == Phase.TERMINATING or refused
    phase = after.phase
    if phase in _NO_TRAFFIC and after.stable is not None and decided and made.shares is not None:
        assert decided == {after.stable.name: PARTS}, f"S5: {phase} with {decided}"
    rollout, candidate = after.rollout, after.candidate
    if rollout is not None and candidate is not None and phase in {"Stepping", "Waiting"}:
        assert decided.get(candidate.name, 0) <= rollout.share, "S5: above its step"


def _rises(world: Watched, before: ModelRolloutStatus, after: ModelRolloutStatus) -> None:
    """S2: the weight of a candidate, or of one just promoted, waits for its ready pods."""
    candidate = after.candidate or before.candidate
    is_back = after.phase in {"Draining", "RolledBack", "Terminating"}
    if candidate is None or is_back or before.uid != after.uid:
        return
    old = before.decision.shares.get(candidate.name, 0)
    new = after.decision.shares.get(candidate.name, 0)
    back = before.previous or before.stable
    version, lost = world.versions[candidate.name], back and world.versions[back.name].ready == 0
    listed = back is not None and any(v.name == back.name for v in world.spec.versions)
    is_stable_alone = after.stable == candidate and after.rollout is None and back is None
    if new <= old or is_stable_alone or lost or not listed:
        return
    wanted = max(version.wanted, version.ready)
    assert new <= PARTS * version.ready // wanted, f"S2: {new} with {version.ready}/{wanted}"


def _rejected(world: Watched, after: ModelRolloutStatus) -> None:
    candidate, rollout = after.candidate, after.rollout
    if candidate is None or rollout is None or after.phase == Phase.TERMINATING:
        return
    for entry in after.rejected:
        same = (entry.name, entry.revision) == (candidate.name, candidate.revision)
        if same and not entry.lifted and after.decision.shares.get(entry.name, 0) > 0:
            assert rollout.number > entry.tries, "S8: a rejected candidate has traffic"


def _arms(world: Watched, before: ModelRolloutStatus, after: ModelRolloutStatus) -> None:
    """S2 and S8 for the arms of an A/B test: each is a candidate."""
    if after.phase != Phase.TESTING or after.ab_test is None:
        return
    out = {(entry.name, entry.revision) for entry in after.rejected if not entry.lifted}
    for arm in after.ab_test.arms:
        old, new = (status.decision.shares.get(arm.version.name, 0) for status in (before, after))
        assert new <= arm.share, "S5: above its weight"
        version = world.versions[arm.version.name]
        if new > old and before.uid == after.uid:
            allowed = PARTS * version.ready // max(version.wanted, version.ready, 1)
            assert new <= allowed, f"S2: {new} with {version.ready}/{version.wanted}"
        is_out = (arm.version.name, arm.version.revision) in out
        assert not (is_out and new), "S8: a rejected arm has traffic"


def _one_step(
    world: Watched, before: ModelRolloutStatus, after: ModelRolloutStatus, made: Plan
) -> None:
    if before.uid == after.uid:
        assert after.decision.sequence - before.decision.sequence in {0, 1}, "S7"
    old, new = before.rollout, after.rollout
    told = {str(event.reason.code) for event in made.events}
    promoted = any(move.trigger is Trigger.PROMOTE for move in made.moves)
    if promoted and old is not None and not told & _MOVED_BY_HAND and not world.is_edited:
        assert old.step_index == len(_steps(world, before)) - 1, "S6: promoted before the last step"
    is_same = old is not None and new is not None and old.id == new.id and before.uid == after.uid
    if old is None or new is None or not is_same or world.is_edited:
        return
    assert new.step_index - old.step_index in {0, 1}, "S6: more than one step"
    if new.share > old.share:
        shares = [s.share for s in _steps(world, after) if isinstance(s, WeightStep)]
        between = [share for share in shares if old.share < share < new.share]
        assert not between, f"S6: from {old.share} to {new.share}"


def _steps(world: Watched, status: ModelRolloutStatus) -> tuple[object, ...]:
    chosen = status.rollout.weights if status.rollout else []
    return compiled(world.spec, chosen=chosen)


def _drain(world: Watched, made: Plan) -> None:
    """S3: a version that lost its traffic has its drain before anything follows."""
    over = {Trigger.DRAINED, Trigger.REJECTED}
    ends = [m for m in made.moves if m.phase is Phase.DRAINING and m.trigger in over]
    if not ends or world.lost_at is None:
        return
    lost_s, jumps = world.lost_at
    leeway = 1.5 * world.spec.analysis.interval * (world.jumps - jumps)
    assert world.elapsed_s - lost_s >= world.spec.drain - leeway - 1e-3, "S3: not drained"


def _parked(world: Watched, made: Plan) -> None:
    """S3, S4: nobody is scaled down with weight, with a part to play, or before it has drained."""
    after = made.status
    roles = (after.stable, after.candidate if after.rollout else None, after.previous)
    for scale in made.scales:
        name = scale.version
        if scale.replicas > 0:
            continue
        assert after.decision.shares.get(name, 0) == 0, "S3: scaled down with weight"
        assert (world.route or {}).get(name, 0) == 0, "S3: scaled down while the route leads to it"
        assert all(one is None or one.name != name for one in roles), "S4: it has a part to play"
        elapsed_s, jumps = world.left.get(name, (-1e9, world.jumps))
        if jumps == world.jumps:
            assert world.elapsed_s - elapsed_s >= world.spec.drain - 1e-3, "S3: it has not drained"


def _previewed(after: ModelRolloutStatus) -> None:
    """A preview leads to the candidate before the switch, and to nobody else at any time."""
    shown, candidate = after.decision.preview, after.candidate
    if shown and after.phase != Phase.TERMINATING:
        assert candidate is not None
        assert shown == candidate.name
        assert after.phase in {Phase.STEPPING, Phase.WAITING, Phase.UNDECIDED}


def _well_formed(
    world: Watched, before: ModelRolloutStatus, after: ModelRolloutStatus, made: Plan
) -> None:
    assert made.wake_at is None or made.wake_at > world.now
    kinds = [condition.type for condition in after.conditions]
    assert len(kinds) == len(set(kinds))
    assert len(json.dumps(to_object(after))) < 64 * 1024
    assert after != before or after is before or not before.uid, "an equal status is the same one"
    if after is before:
        assert not made.moves
    if not world.deleting and after.rollout is not None and made.shares is not None:
        assert made.finalizer, "a deletion would not wait for the traffic to return"
