"""Observers of shadows in the cluster: whether one stands, what it counted, and making it."""

from dataclasses import dataclass
from typing import Any

from modelrollout.adapters.apiserver import Apiserver, path_to
from modelrollout.adapters.prometheus import Sources
from modelrollout.adapters.source import SourceError
from modelrollout.api.status import ShadowStatus
from modelrollout.domain.observed import ShadowSeen
from modelrollout.domain.planned import Plan
from modelrollout.metrics import shadow as counters
from modelrollout.routing import observer
from modelrollout.routing.contract import Rollout

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Observers:
    """How the administrator lets observers run; no tenant chooses an image.

    Attributes:
        image: of the observer; "" where shadows are switched off.
        pull_secrets: names of Secrets to pull it with.
    """

    image: str = ""
    pull_secrets: tuple[str, ...] = ()

    async def sight(
        self,
        apiserver: Apiserver,
        sources: Sources,
        *,
        rollout: Rollout,
        shadow: ShadowStatus | None,
        now: float,
    ) -> ShadowSeen | None:
        """The observer of a rollout; None where no shadow is under way or left over.

        Raises:
            ApiError: when the apiserver does not answer.
        """
        if shadow is None or not (shadow.running or shadow.standing):
            return None
        deployment = observer.references(namespace=rollout.namespace, rollout=rollout.name)[0]
        live = await apiserver.get(path_to(deployment))
        if live is None:
            return ShadowSeen()
        ready = _is_ready(live, run=shadow.key)
        due = now - shadow.clock_at >= rollout.spec.analysis.interval
        if not (shadow.running and ready and due):
            return ShadowSeen(exists=True, ready=ready)
        return await _counted(sources, rollout=rollout, run=shadow.key, now=now)

    async def keep(self, apiserver: Apiserver, plan: Plan, *, rollout: Rollout) -> None:
        """Makes the observer that must stand, or takes away what is left of one.

        Raises:
            ApiError: when the apiserver refuses.
        """
        if plan.observer_gone:
            for reference in observer.references(namespace=rollout.namespace, rollout=rollout.name):
                options = {"kind": "DeleteOptions", "apiVersion": "v1"}
                await apiserver.delete(path_to(reference), options)
        if plan.observing is None or not self.image:
            return
        made = observer.objects(
            rollout, plan.observing, image=self.image, pull_secrets=self.pull_secrets
        )
        live = await apiserver.get(path_to(made[-1][0]))
        annotations = ((live or {}).get("metadata") or {}).get("annotations") or {}
        if annotations.get(observer.RUN) == observer.mark(rollout, plan.observing):
            return
        for reference, body in made:
            await apiserver.apply(path_to(reference), body)


def _is_ready(live: Json, *, run: str) -> bool:
    metadata, status = live["metadata"], live.get("status") or {}
    mark = (metadata.get("annotations") or {}).get(observer.RUN, "")
    is_present = status.get("observedGeneration") == metadata.get("generation")
    pods = min(status.get("readyReplicas") or 0, status.get("updatedReplicas") or 0)
    return mark.startswith(f"{run}-") and is_present and pods > 0


async def _counted(sources: Sources, *, rollout: Rollout, run: str, now: float) -> ShadowSeen:
    name = rollout.spec.analysis.source
    source = sources.by_name.get(name)
    if source is None:
        return ShadowSeen(exists=True, ready=True, problem=f"source {name} is not declared")
    query = counters.question(namespace=rollout.namespace, run=run, mandatory=source.facts.matchers)
    try:
        answer = await source.ask(query, at=now)
        return ShadowSeen(exists=True, ready=True, totals=counters.totals(answer))
    except (SourceError, ValueError, KeyError, TypeError) as problem:
        sentence = f"the observer's counters cannot be read from source {name}: {problem}"
        return ShadowSeen(exists=True, ready=True, problem=sentence)
