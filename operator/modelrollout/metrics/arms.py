"""Which series belong to a version: the matchers of an arm."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from modelrollout.api.spec import Arm
from modelrollout.metrics import selectors
from modelrollout.metrics.selectors import Matcher

PLACEHOLDERS: Final = ("namespace", "service", "port", "version", "workload")
_PLACEHOLDER: Final = re.compile(r"\{([a-z]+)\}")
_NO_POD: Final = "no pod"
"""No pod has this name: a version without pods has no series."""
_NO_SERVICE: Final = "no service"


@dataclass(frozen=True, slots=True)
class ArmSeen:
    """What is known of a version where its series are looked for.

    Attributes:
        service: name of its Service, "" for an InferencePool, which has none.
        port: of the Service, 0 without one.
        workload: name of its workload, "" without one.
        pods: names of its pods, with the instants at which they started (seconds since the epoch).
    """

    service: str
    port: int
    workload: str = ""
    pods: Mapping[str, float] = field(default_factory=dict)


def matchers(arm: Arm, *, namespace: str, version: str, seen: ArmSeen) -> tuple[Matcher, ...]:
    """The matchers that select a version's series.

    Args:
        arm: as written; `Label` by its label and pattern.
        namespace: of the rollout.
        version: name of the version.
        seen: what is known of it.
    """
    if arm.label is not None and arm.pattern is not None:
        known = {
            "namespace": namespace,
            "service": seen.service,
            "port": str(seen.port),
            "version": version,
            "workload": seen.workload,
        }
        pattern = _PLACEHOLDER.sub(lambda found: re.escape(known[found.group(1)]), arm.pattern)
        return (Matcher(arm.label, "=~", pattern),)
    if arm.kind == "Pods":
        pods = "|".join(re.escape(pod) for pod in sorted(seen.pods)) or _NO_POD
        return (Matcher("namespace", "=", namespace), Matcher("pod", "=~", pods))
    # An empty value would match all series without the label.
    service = seen.service or _NO_SERVICE
    return (Matcher("namespace", "=", namespace), Matcher("service", "=", service))


def needs_service(arm: Arm) -> bool:
    """Whether the series are told apart by the version's Service."""
    if arm.pattern is not None:
        return bool({"service", "port"} & set(_PLACEHOLDER.findall(arm.pattern)))
    return arm.kind != "Pods"


def trouble(arm: Arm) -> str:
    """What is wrong with an arm as written, "" when nothing is."""
    if arm.label is None or arm.pattern is None:
        return ""
    found = set(_PLACEHOLDER.findall(arm.pattern))
    unknown = sorted(found - set(PLACEHOLDERS))
    if unknown:
        allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        return f"unknown placeholder {{{unknown[0]}}} in pattern {arm.pattern!r}: use {allowed}"
    if not found - {"namespace"}:
        return (
            f"pattern {arm.pattern!r} is the same for all versions: use {{service}} or {{version}}"
        )
    try:
        selectors.check_regex(_PLACEHOLDER.sub("x", arm.pattern))
    except selectors.SelectorError as problem:
        return str(problem)
    return ""
