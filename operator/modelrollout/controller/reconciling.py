"""One pass over one rollout at the edge: observe, plan, persist, act, tell.

The order is the promise: the decision is stored, on the condition that nothing changed since it was
read, before anything is done about it. A crash at any instruction is repaired by the next pass,
since every output follows from spec and stored decision.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pydantic import ValidationError

from modelrollout import metrics
from modelrollout.adapters import kinds, writing
from modelrollout.adapters.apiserver import ApiError, Apiserver, path_of
from modelrollout.adapters.observers import Observers
from modelrollout.adapters.prometheus import Sources
from modelrollout.api import misfits
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import SCHEMA_VERSION, ModelRolloutStatus, to_object
from modelrollout.controller import besides
from modelrollout.controller.claims import Claims
from modelrollout.controller.index import Index, names_of
from modelrollout.controller.instruments import Instruments
from modelrollout.controller.observing import Observer, Sight, Subject
from modelrollout.controller.queue import Key, Queue
from modelrollout.controller.recorder import Recorder
from modelrollout.controller.rights import Rights
from modelrollout.controller.routers import Routers
from modelrollout.domain import plan as planning
from modelrollout.domain.planned import Event, EventType, Plan
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import capabilities, contract, providers
from modelrollout.routing import observer as observer_objects
from modelrollout.routing.contract import Change, Verb
from modelrollout.routing.router import naming

log = logging.getLogger(__name__)

Json = dict[str, Any]

_MOST_PROBLEMS: Final = 3


@dataclass(frozen=True, slots=True)
class Read:
    """A spec as it was understood, kept as long as its generation lasts."""

    uid: str
    generation: int
    spec: ModelRolloutSpec | None
    problem: Reason | None


class Reconciler:
    """Makes passes."""

    def __init__(
        self,
        apiserver: Apiserver,
        *,
        observer: Observer,
        sources: Sources,
        recorder: Recorder,
        queue: Queue,
        routers: Routers,
        instruments: Instruments,
        providers_off: Collection[str],
        rights: Rights,
        observers: Observers,
        now: Callable[[], float],
    ) -> None:
        self._apiserver, self._observer, self._sources = apiserver, observer, sources
        self._recorder, self._queue, self._instruments = recorder, queue, instruments
        self._routers = routers
        self._now, self._off, self._rights = now, providers_off, rights
        self._observers = observers
        self._read: dict[Key, Read] = {}
        self.index, self.claims = Index(), Claims()

    async def reconcile(self, key: Key) -> None:
        """One pass.

        Raises:
            ApiError: when the apiserver refuses, or an object changed meanwhile.
            GateClosedError: when this replica does not lead any more.
        """
        live = await self._apiserver.get(path_of(kinds.ROLLOUT, *key))
        if live is None:
            self.forget(key)
            return
        started = time.monotonic()
        read, status = self.understand(key, live), _status(live)
        now = self._now()
        if read.spec is None:
            reason = read.problem or Reason(Code.INVALID_SPEC, "the spec cannot be read")
            outline = self._observer.outline(live)
            await self._carry_out(key, live, status, planning.refuse(now, status, reason, outline))
            return
        problem = read.problem or self.claims.conflict(key)
        site = await self._routers.site(key, read.spec)
        subject = Subject(live, read.spec, status, problem, site)
        sight = await self._observer.observe(subject, now=now)
        plan = planning.plan(now, read.spec, status, sight.observed)
        self._count_look(sight)
        await self._carry_out(key, live, status, plan, subject=subject, sight=sight)
        self._instruments.pass_seconds.observe(time.monotonic() - started)

    def understand(self, key: Key, live: Json) -> Read:
        """The spec of a rollout, with its metrics resolved; what it refers to is noted."""
        metadata = live["metadata"]
        known = self._read.get(key)
        if known is not None and (known.uid, known.generation) == (
            metadata["uid"],
            metadata.get("generation", 0),
        ):
            return known
        spec, problem = self._parse(live)
        read = Read(metadata["uid"], metadata.get("generation", 0), spec, problem)
        self._read[key] = read
        self._note(key, live, spec)
        return read

    def forget(self, key: Key) -> None:
        """A rollout is gone; those that waited for what it claimed come to their turn."""
        self._read.pop(key, None)
        self.index.drop(key)
        self._queue.forget(key)
        for waiting in self.claims.drop(key):
            self._queue.add(waiting)

    def _parse(self, live: Json) -> tuple[ModelRolloutSpec | None, Reason | None]:
        try:
            spec = metrics.resolve(ModelRolloutSpec.model_validate(live.get("spec") or {}))
        except ValidationError as problem:
            sentence = f"the spec is not as expected: {_sentence(problem)}"
            return None, Reason(Code.INVALID_SPEC, sentence)
        except metrics.MetricError as problem:
            return None, Reason(Code.INVALID_SPEC, str(problem))
        if (off := providers.switched_off(spec, self._off)) is not None:
            # Without rights nothing can be read, so nothing more can be said.
            return None, off
        refusal = capabilities.refusal(spec) or self._rights.missing(spec)
        return spec, refusal or metrics.check(spec, self._sources.facts())

    def _note(self, key: Key, live: Json, spec: ModelRolloutSpec | None) -> None:
        names = {("ModelRollout", *key)}
        if spec is not None:
            metadata = live["metadata"]
            rollout = contract.Rollout(*key, metadata["uid"], spec)
            names |= names_of(key[0], spec)
            names |= {
                (one.kind.kind, one.namespace, one.name)
                for one in providers.chosen(spec).needs(rollout)
            }
            if spec.traffic.router is not None:
                names.add((kinds.SLICE.kind, key[0], naming.name_of(rollout)))
            for other in self.claims.put(key, live, spec):
                self._queue.add(other)
        self.index.put(key, names)

    async def _carry_out(
        self,
        key: Key,
        live: Json,
        status: ModelRolloutStatus,
        plan: Plan,
        *,
        subject: Subject | None = None,
        sight: Sight | None = None,
    ) -> None:
        finalizer = plan.finalizer or (subject is not None and _outlives(subject))
        if finalizer:
            live = await writing.put_finalizer(self._apiserver, live, wanted=True)
        if plan.status is not status:
            live = await writing.put_status(self._apiserver, live, to_object(plan.status))
            self.index.written[key] = live["metadata"]["resourceVersion"]
            self._routers.shelf.put(live)
            if subject is not None:
                # Once it is accepted, its claims come before those of anybody who is not.
                self.claims.put(key, live, subject.spec)
        self._tell(live, plan.events)
        if subject is not None and sight is not None:
            await self._act(live, subject, sight, plan)
            await besides.perform(
                self._apiserver,
                plan,
                rollout=live,
                spec=subject.spec,
                tell=partial(self._recorder.tell, live),
                observed=self._observers.keep(self._apiserver, plan, rollout=subject.rollout),
            )
        if not finalizer:
            await writing.put_finalizer(self._apiserver, live, wanted=False)
        self._queue.wake_at(key, plan.wake_at)

    async def _act(self, live: Json, subject: Subject, sight: Sight, plan: Plan) -> None:
        provider, changes = providers.chosen(subject.spec), list[Change]()
        goes = subject.is_deleted and not plan.finalizer
        if plan.shares is not None and not goes:
            sequence = plan.status.decision.sequence
            desired = contract.Desired(
                plan.shares, plan.stable, sequence, preview=plan.preview, tee=_tee(plan, subject)
            )
            changes += provider.render(subject.rollout, desired, sight.routes)
        if plan.delete_route:
            changes = list(provider.remove(subject.rollout, sight.routes))
        elif goes:
            changes += self._routers.retained(subject.rollout, plan.status, sight.routes)
        if subject.key in self.index.routers and plan.status.decision.confirmed_at is not None:
            changes += await self._routers.left(subject.rollout)
        try:
            await writing.make(self._apiserver, changes)
        except ApiError as problem:
            # A failed `test` of a patch is answered with 422, too; a body that is refused will be
            # refused again, and is told then.
            if not (problem.is_passing or self._is_race(problem, changes)):
                sentence = f"the apiserver refuses what sends the requests: {problem}"
                event = Event(EventType.WARNING, Reason(Code.NOT_PROGRAMMED, sentence))
                self._recorder.tell(live, event)
            raise

    @staticmethod
    def _is_race(problem: ApiError, changes: Sequence[Change]) -> bool:
        """Whether an object was simply not what it was when it was read."""
        patches = any(change.verb is Verb.JSON_PATCH for change in changes)
        return problem.is_conflict and (patches or problem.status == 409)  # noqa: PLR2004

    def _tell(self, live: Json, events: Sequence[Event]) -> None:
        metadata = live["metadata"]
        for event in events:
            self._recorder.tell(live, event)
            self._instruments.events.labels(event.reason.code).inc()
            log.log(
                logging.WARNING if event.type is EventType.WARNING else logging.INFO,
                "%s",
                event.reason.sentence,
                extra={
                    "reason": str(event.reason.code),
                    "rollout": f"{metadata['namespace']}/{metadata['name']}",
                },
            )

    def _count_look(self, sight: Sight) -> None:
        look = sight.observed.look
        if look is not None:
            self._instruments.looks.labels("down" if look.down else "read").inc()


def _outlives(subject: Subject) -> bool:
    """Whether what it made must be told when it goes: nobody configures its router afterwards."""
    return subject.spec.traffic.router is not None and not subject.is_deleted


def _tee(plan: Plan, subject: Subject) -> contract.Tee | None:
    """Copies go to the observer, which asks the version itself."""
    if plan.tee is None:
        return None
    return contract.Tee(*plan.tee, observer=observer_objects.name_of(subject.rollout.name))


def _status(live: Json) -> ModelRolloutStatus:
    """The status as stored; one that cannot be read is taken as lost, which the route survives."""
    stored = live.get("status") or {}
    version = stored.get("schemaVersion")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return ModelRolloutStatus(schema_version=version)
    try:
        return ModelRolloutStatus.model_validate(stored)
    except ValidationError as problem:
        log.warning("a stored status cannot be read and is taken as lost: %s", _sentence(problem))
        return ModelRolloutStatus()


def _sentence(problem: ValidationError) -> str:
    told = misfits.told(problem)
    more = f" (and {len(told) - _MOST_PROBLEMS} more)" if len(told) > _MOST_PROBLEMS else ""
    return f"{'; '.join(told[:_MOST_PROBLEMS])}{more}"
