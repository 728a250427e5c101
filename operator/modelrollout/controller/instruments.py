"""The operator's own metrics. No label carries what a user chose, so their number is bounded."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(slots=True)
class Instruments:
    """Everything that `/metrics` shows."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    passes: Counter = field(init=False)
    pass_seconds: Histogram = field(init=False)
    lateness_seconds: Histogram = field(init=False)
    looks: Counter = field(init=False)
    events: Counter = field(init=False)
    queued: Gauge = field(init=False)
    rollouts: Gauge = field(init=False)
    leads: Gauge = field(init=False)
    events_dropped: Gauge = field(init=False)

    def __post_init__(self) -> None:
        of = self.registry
        self.passes = Counter(
            "modelrollout_passes", "Passes over rollouts.", ["outcome"], registry=of
        )
        self.pass_seconds = Histogram(
            "modelrollout_pass_seconds", "Length of a pass.", buckets=_SECONDS, registry=of
        )
        self.lateness_seconds = Histogram(
            "modelrollout_lateness_seconds",
            "How long after its due time a pass begins.",
            buckets=_SECONDS,
            registry=of,
        )
        self.looks = Counter(
            "modelrollout_looks", "Looks at the evidence.", ["outcome"], registry=of
        )
        self.events = Counter(
            "modelrollout_transitions", "Transitions told as events.", ["reason"], registry=of
        )
        self.queued = Gauge("modelrollout_queued", "Rollouts waiting for a worker.", registry=of)
        self.rollouts = Gauge("modelrollout_rollouts", "Rollouts known.", registry=of)
        self.leads = Gauge("modelrollout_leads", "1 on the replica that leads.", registry=of)
        self.events_dropped = Gauge(
            "modelrollout_events_dropped", "Events that were too many to write.", registry=of
        )
