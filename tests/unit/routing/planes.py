"""What stands behind a provider and obeys it: where the split in force is found, and who says so.

Most providers write weights into objects, which a gateway obeys. The Envoys of a router obey the
persisted decision, and objects only note it: there the split is what the edition holds that they
acknowledge. One adapter each, so that every provider passes the same suite.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from modelrollout.api.status import ModelRolloutStatus
from modelrollout.routing import generated, providers
from modelrollout.routing.contract import Desired, Reference, Rollout, Site
from modelrollout.routing.router import answers, clusters, naming, snapshot
from modelrollout.routing.router.answers import Answer
from modelrollout.routing.router.edition import Edition
from modelrollout.routing.router.snapshot import Snapshot
from tests.unit.routing import gateway

Json = dict[str, Any]
Store = dict[Reference, Json]

SITE: Final = Site("envoyproxy/envoy:v1.40.0", "modelrollout.ops.svc:18000", "a" * 64)
CREATED: Final = 1_767_225_600
_GENERATION: Final = 1


class Plane(Protocol):
    """A data plane, as the suite asks it."""

    def answered(
        self, rollout: Rollout, read: Mapping[Reference, Json], *, behind: int = 0
    ) -> Store:
        """What the edge hands to a provider: the objects read, with what the plane says of them.

        Args:
            rollout: whose traffic it is.
            read: the objects that the provider needs.
            behind: how many changes the plane has not taken over yet.
        """

    def obeyed(self, rollout: Rollout, desired: Desired, live: Store) -> Any:
        """What requests are sent by."""

    def split(self, rollout: Rollout, desired: Desired, live: Store) -> dict[str, int]:
        """Parts of ten thousand per version, as requests are sent."""


class Objects:
    """A gateway that obeys objects, and says so on those that have a place for it."""

    def answered(
        self, rollout: Rollout, read: Mapping[Reference, Json], *, behind: int = 0
    ) -> Store:
        """Routes with the acceptance of their gateway; nothing says it of other objects."""
        del rollout
        return {
            one: gateway.accepted(body, observedGeneration=body["metadata"]["generation"] - behind)
            if "parentRefs" in body["spec"]
            else body
            for one, body in read.items()
        }

    def obeyed(self, rollout: Rollout, desired: Desired, live: Store) -> Any:
        """The objects themselves."""
        del rollout, desired
        return {(one.kind.kind, one.name): body["spec"] for one, body in live.items()}

    def split(self, rollout: Rollout, desired: Desired, live: Store) -> dict[str, int]:
        """The weights in the objects."""
        del desired
        provider = providers.chosen(rollout.spec)
        read = {one: live[one] for one in provider.needs(rollout) if one in live}
        return dict(provider.read(rollout, self.answered(rollout, read), others=()).shares or {})


class Envoys:
    """The Envoys of a router, which obey the decision that is stored."""

    def answered(
        self, rollout: Rollout, read: Mapping[Reference, Json], *, behind: int = 0
    ) -> Store:
        """With the answers of two Envoys, as soon as there is a Deployment for them."""
        deployment = read.get(naming.reference(rollout, naming.DEPLOYMENT))
        if deployment is None:
            return dict(read)
        noted = (deployment["metadata"].get("annotations") or {}).get(generated.DECISION, "0")
        edition = Edition(rollout.created, int(noted) - behind, _GENERATION)
        told = [Answer(f"envoy-{one}", dict.fromkeys(snapshot.TYPES, edition)) for one in range(2)]
        return {**read, answers.reference(rollout): {"answers": told}}

    def obeyed(self, rollout: Rollout, desired: Desired, live: Store) -> Any:
        """What they are served, if it is the edition that they acknowledge; else nothing."""
        served = self._served(rollout, desired)
        told = answers.among(rollout, self.answered(rollout, live))
        follows = told and all(one.editions["routes"] == served.edition for one in told)
        return served.resources if follows else {}

    def split(self, rollout: Rollout, desired: Desired, live: Store) -> dict[str, int]:
        """The intervals of users, by version."""
        found: dict[str, int] = {}
        for version, parts in self.intervals(rollout, desired, live):
            found[version] = found.get(version, 0) + parts
        return found

    def intervals(
        self, rollout: Rollout, desired: Desired, live: Store
    ) -> Sequence[tuple[str, int]]:
        """The versions in the order of the hash, with their parts of ten thousand."""
        obeyed = self.obeyed(rollout, desired, live)
        if not obeyed:
            return ()
        (configuration,) = obeyed["routes"]
        action = configuration["virtual_hosts"][-1]["routes"][-1]["route"]
        alone = [{"name": action.get("cluster"), "weight": 10_000}]
        names = {
            clusters.name_of(rollout.namespace, one): one.name for one in rollout.spec.versions
        }
        return [
            (names[one["name"]], one["weight"])
            for one in action.get("weighted_clusters", {}).get("clusters", alone)
        ]

    @staticmethod
    def _served(rollout: Rollout, desired: Desired) -> Snapshot:
        """What a replica of the operator serves once this decision is stored."""
        decision: Json = {
            "sequence": desired.sequence,
            "shares": dict(desired.shares),
            "preview": desired.preview,
        }
        if desired.tee is not None:
            decision |= {"tee": desired.tee.version, "teeParts": desired.tee.parts}
        stored = {"stable": {"name": desired.stable}, "decision": decision}
        status = ModelRolloutStatus.model_validate(stored)
        edition = Edition(rollout.created, desired.sequence, _GENERATION)
        asked = snapshot.wanted(
            rollout.spec, status, namespace=rollout.namespace, name=rollout.name
        )
        return snapshot.rendered(asked, edition=edition)


def behind(rollout: Rollout) -> Plane:
    """The data plane behind the provider of a rollout."""
    return Envoys() if rollout.spec.traffic.router is not None else Objects()
