"""How metrics are read: pure. Selectors, queries, and what their answers mean."""

from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.checking import check
from modelrollout.metrics.facts import SourceFacts
from modelrollout.metrics.presets import MetricError, resolve

__all__ = ["ArmSeen", "MetricError", "SourceFacts", "check", "resolve"]
