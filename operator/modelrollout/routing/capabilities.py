"""What a rollout asks of its provider, and the refusal where the provider cannot do it.

What a provider cannot do is refused at once, with the providers that can; it is never ignored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from modelrollout.api import scalars
from modelrollout.api.spec import ModelRolloutSpec, Step
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import providers
from modelrollout.routing.contract import Provider

WORDS: Final = {
    "weights": "share traffic between versions",
    "switch": "switch all traffic from one version to the other",
    "preview": "show the candidate under an address of its own",
    "mirror": "copy requests to a version",
    "sticky": "keep each user on one version while shares grow",
    "faults": "answer with faults on purpose",
    "inferencePool": "send requests to an InferencePool",
}
"""What each capability lets a rollout do."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A capability that a rollout needs.

    Attributes:
        capability: one of `WORDS`.
        field: of the spec that asks for it.
    """

    capability: str
    field: str


def offered(provider: Provider) -> frozenset[str]:
    """What a provider can do; who shares traffic can also switch it."""
    implied = {"switch"} if "weights" in provider.capabilities else set()
    return provider.capabilities | implied


def asked(spec: ModelRolloutSpec) -> tuple[Ask, ...]:
    """Everything that a spec asks of its provider, with the first field that does."""
    found: dict[str, Ask] = {}
    for ask in (*_of_strategy(spec), *_of_bake(spec), *_of_versions(spec)):
        found.setdefault(ask.capability, ask)
    return tuple(found.values())


def refusal(spec: ModelRolloutSpec) -> Reason | None:
    """Why the provider cannot do what the rollout asks; None when it can."""
    provider = providers.chosen(spec)
    for ask in asked(spec):
        if ask.capability not in offered(provider):
            return Reason(Code.UNSUPPORTED, _sentence(ask, provider))
        if ask.capability == "mirror" and (where := _of_the_user(spec)):
            return Reason(
                Code.UNSUPPORTED,
                f"spec.{ask.field} asks to {WORDS['mirror']}, which {provider.name} does in what "
                f"the operator makes and not in yours: leave out spec.traffic.{where}",
            )
    return _fraction(spec)


def _fraction(spec: ModelRolloutSpec) -> Reason | None:
    """Why a share of copies cannot be said; a larger one would load more than was asked for."""
    if spec.traffic.traefik is None:
        return None
    for field, share in _samples(spec):
        if share % (scalars.PARTS // 100):
            return Reason(
                Code.UNSUPPORTED,
                f"spec.{field} is {scalars.percent(share)}, and spec.traffic.traefik copies whole "
                "percents: write a whole number of percent",
            )
    return None


def _samples(spec: ModelRolloutSpec) -> Iterable[tuple[str, int]]:
    """Shares of copies, in parts of ten thousand, with the fields that ask for them."""
    if spec.strategy.shadow is not None:
        yield "strategy.shadow.sample", spec.strategy.shadow.sample
    for place, step in enumerate(spec.strategy.steps or ()):
        if step.shadow is not None:
            yield f"strategy.steps[{place}].shadow.sample", step.shadow.sample


def _sentence(ask: Ask, provider: Provider) -> str:
    can = sorted(
        other.name for other in providers.PROVIDERS.values() if ask.capability in offered(other)
    )
    others = f"spec.traffic.{' or '.join(can)} can" if can else "no provider can"
    instead = ""
    if ask.capability == "weights" and "switch" in provider.capabilities:
        instead = "; with this one, write `strategy: {blueGreen: {}}` and no holdback"
    return (
        f"spec.{ask.field} asks to {WORDS[ask.capability]}, and spec.traffic.{provider.name} "
        f"cannot: {others}{instead}"
    )


def _of_the_user(spec: ModelRolloutSpec) -> str:
    """The field that names an object of the user's in which nothing but weights may be written."""
    traffic = spec.traffic
    if traffic.gateway_api is not None and traffic.gateway_api.routes:
        return "gatewayAPI.routes"
    if traffic.traefik is not None and traffic.traefik.service is not None:
        return "traefik.service"
    return ""


def _of_strategy(spec: ModelRolloutSpec) -> Iterable[Ask]:
    strategy = spec.strategy
    if strategy.canary is not None:
        yield Ask("weights", "strategy.canary")
    if strategy.blue_green is not None:
        yield Ask("switch", "strategy.blueGreen")
        if strategy.preview_host:
            yield Ask("preview", "strategy.blueGreen.previewHost")
        if strategy.blue_green.overlap is not None:
            yield Ask("weights", "strategy.blueGreen.overlap")
    if strategy.ab_test is not None:
        yield Ask("sticky", "strategy.abTest")
        yield Ask("weights", "strategy.abTest.arms")
    if strategy.shadow is not None:
        yield Ask("mirror", "strategy.shadow")
    for place, step in enumerate(strategy.steps or ()):
        yield from _of_step(step, f"strategy.steps[{place}]")


def _of_step(step: Step, field: str) -> Iterable[Ask]:
    if step.weight is not None:
        yield Ask("switch" if step.weight == scalars.PARTS else "weights", f"{field}.weight")
    if step.preview is not None:
        yield Ask("preview", f"{field}.preview")
    if step.shadow is not None:
        yield Ask("mirror", f"{field}.shadow")


def _of_bake(spec: ModelRolloutSpec) -> Iterable[Ask]:
    if spec.bake is not None and spec.bake.holdback > 0:
        yield Ask("weights", "bake.holdback")


def _of_versions(spec: ModelRolloutSpec) -> Iterable[Ask]:
    for place, version in enumerate(spec.versions):
        if version.inference_pool is not None:
            yield Ask("inferencePool", f"versions[{place}].inferencePool")
