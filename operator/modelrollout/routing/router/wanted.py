"""What the Envoys of one rollout are to do, as data: the input of everything that is rendered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from modelrollout.api.router import Router
from modelrollout.api.spec import ModelRolloutSpec, Version
from modelrollout.assignment.assigning import Assignment
from modelrollout.routing.contract import Tee

PORT: Final = 8080
"""Where an Envoy listens for users unless the spec says otherwise."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault injected on purpose into one version's answers.

    Attributes:
        delay_s: by which answers are late, seconds; 0 for none.
        delayed: percent of requests.
        abort_status: with which requests are answered instead; 0 for none.
        aborted: percent of requests.
    """

    delay_s: float = 0.0
    delayed: int = 0
    abort_status: int = 0
    aborted: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a router does.

    Attributes:
        namespace: of the rollout, where its versions are.
        spec: of the rollout, with `traffic.router`.
        assignment: who gets which version.
        preview: the version that the preview host leads to; "" for none.
        preview_host: under which name.
        tee: who is shown a copy of some requests.
        observer: where copies go, as host:port.
        faults: by version.
    """

    namespace: str
    spec: ModelRolloutSpec
    assignment: Assignment
    preview: str = ""
    preview_host: str = ""
    tee: Tee | None = None
    observer: str = ""
    faults: Mapping[str, Fault] = field(default_factory=dict)

    @property
    def router(self) -> Router:
        """What the user asked for.

        Raises:
            ValueError: when the spec names another provider.
        """
        return asked(self.spec)

    @property
    def serving(self) -> frozenset[str]:
        """Versions that get requests."""
        return frozenset(one.version for one in self.assignment.intervals)


def asked(spec: ModelRolloutSpec) -> Router:
    """`spec.traffic.router`.

    Raises:
        ValueError: when the spec names another provider.
    """
    if spec.traffic.router is None:
        raise ValueError("expected spec.traffic.router, found another provider")
    return spec.traffic.router


def duration(length_s: float) -> str:
    """A duration as Envoy reads it: seconds with up to three decimals, never with an exponent."""
    return f"{length_s:.3f}".rstrip("0").rstrip(".") + "s"


def port_of(router: Router) -> int:
    """Where its Envoys listen for users."""
    return router.port or PORT


def version_named(spec: ModelRolloutSpec, name: str) -> Version | None:
    """The version of that name."""
    return next((version for version in spec.versions if version.name == name), None)
