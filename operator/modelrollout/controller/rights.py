"""What the administrator left out of the operator's rights, told to those who ask for it."""

from dataclasses import dataclass

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.reasons import Code, Reason


@dataclass(frozen=True, slots=True)
class Rights:
    """What the operator may do beside moving traffic.

    Attributes:
        smoke_tests: make Jobs.
        park_old: scale workloads.
        shadow: run observers.
    """

    smoke_tests: bool = False
    park_old: bool = False
    shadow: bool = False

    def missing(self, spec: ModelRolloutSpec) -> Reason | None:
        """Why a spec asks for more than the operator may do; None when it does not."""
        if spec.strategy.checks and not self.smoke_tests:
            return Reason(
                Code.SMOKE_TEST_UNUSABLE,
                "the strategy has a smoke test, and the operator has no right to make Jobs: set "
                "`smokeTests.enabled` in its chart, or leave the smoke test out",
            )
        if spec.capacity == "ParkOld" and not self.park_old:
            return Reason(
                Code.REPLICAS_OWNED,
                "capacity is ParkOld, and the operator has no right to scale: set "
                "`capacity.parkOld` in its chart, or write `capacity: Leave`",
            )
        if spec.strategy.has_shadow and not self.shadow:
            return Reason(
                Code.UNSUPPORTED,
                "the strategy asks for a shadow, and the operator has no right to run observers: "
                "set `shadow.enabled` in its chart, or leave the shadow out",
            )
        return None
