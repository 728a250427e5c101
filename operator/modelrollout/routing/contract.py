"""The contract that every traffic provider keeps, and the values it speaks in.

A provider turns the shares that were decided into changes of objects (`render`) and live objects
back into what is seen (`read`). Both are pure; the edge lists the objects a provider `needs` and
performs its changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol, runtime_checkable

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.observed import TrafficSeen

Json = Mapping[str, Any]

MANAGER: Final = "modelrollout"
"""The field manager of everything that we write."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, as the apiserver addresses it."""

    group: str
    version: str
    plural: str
    kind: str


@dataclass(frozen=True, slots=True)
class Reference:
    """One object: a kind, a namespace, a name."""

    kind: Kind
    namespace: str
    name: str


class Verb(StrEnum):
    """How a change is made."""

    APPLY = "apply"
    """Server-side apply of `body`, forced, with our field manager."""
    JSON_PATCH = "json-patch"
    """JSON patch `body` (a list), with `test` operations; a failed test means: look again."""
    DELETE = "delete"
    """Delete with the preconditions (uid) in `body`."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write to one object."""

    verb: Verb
    target: Reference
    body: Any


@dataclass(frozen=True, slots=True)
class Site:
    """What the administrator decided for the router; no tenant chooses an image or an address.

    Attributes:
        image: of Envoy; "" where the router is switched off.
        xds: where Envoys ask for their configuration, as host:port.
        token: by which the Envoys of this one rollout are known.
        pull_secrets: names of Secrets to pull the image with.
    """

    image: str = ""
    xds: str = ""
    token: str = field(default="", repr=False)
    pull_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rollout:
    """Whose traffic it is, as far as routing needs to know.

    Attributes:
        namespace, name, uid: of the ModelRollout.
        spec: its spec (traffic, versions).
        site: what the administrator decided.
        created: when it was created, seconds since the epoch.
        previewed: a preview stands by the stored status, whatever the spec says by now.
    """

    namespace: str
    name: str
    uid: str
    spec: ModelRolloutSpec
    site: Site = Site()
    created: int = 0
    previewed: bool = False


@dataclass(frozen=True, slots=True)
class Tee:
    """A copy of some requests for a version whose answers nobody gets.

    Attributes:
        version: that is shown the requests.
        parts: of ten thousand requests that are copied.
        observer: the Service that gets the copies and asks the version itself; "" for the version.
    """

    version: str
    parts: int
    observer: str = ""


@dataclass(frozen=True, slots=True)
class Desired:
    """The split that was decided.

    Attributes:
        shares: parts of ten thousand per version, summing to `PARTS`.
        stable: the version recorded on a generated route as stable.
        sequence: number of the persisted decision.
        preview: the version that the preview host leads to; "" for none.
        tee: who is shown a copy; None for nobody.
    """

    shares: Mapping[str, int]
    stable: str
    sequence: int
    preview: str = ""
    tee: Tee | None = None


class Provider(Protocol):
    """What a provider can do. One file and one row of `PROVIDERS` each."""

    name: str
    capabilities: frozenset[str]
    """Some of `capabilities.WORDS`, such as `weights`, or `switch` for 0 or 100 only."""
    watched: tuple[Kind, ...]
    """Kinds whose changes wake a rollout, beside Services and workloads."""

    def needs(self, rollout: Rollout) -> Sequence[Reference]:
        """The objects to read before `read` and `render`."""

    def read(
        self, rollout: Rollout, live: Mapping[Reference, Json], *, others: Sequence[Json]
    ) -> TrafficSeen:
        """What the live objects say; `others` are all routes of the namespaces we may list."""

    def render(
        self, rollout: Rollout, desired: Desired, live: Mapping[Reference, Json]
    ) -> Sequence[Change]:
        """The writes that lead from the live objects to the desired split; none when it holds."""

    def remove(self, rollout: Rollout, live: Mapping[Reference, Json]) -> Sequence[Change]:
        """The writes that take away what the provider itself created (deletionPolicy Delete)."""


@runtime_checkable
class Asking(Protocol):
    """A provider that must know what somebody else's part can do before it promises anything."""

    def facts(self, rollout: Rollout, live: Mapping[Reference, Json]) -> Sequence[Reference]:
        """More objects to read, given those read so far; asked again until nothing is new.

        What may not be read, or does not exist, is left out of what `read` gets. An empty
        namespace stands for a kind that has none.
        """
