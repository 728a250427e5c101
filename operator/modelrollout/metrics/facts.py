"""What the pure rooms know about the administrator's metric sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One source.

    Attributes:
        name: by which rollouts refer to it.
        matchers: labels and values that are added to every selector.
        allow_raw_queries: whether tenants may write expressions.
        scrape_interval_s: how often its series get a new value, seconds.
    """

    name: str
    matchers: Mapping[str, str] = field(default_factory=dict)
    allow_raw_queries: bool = False
    scrape_interval_s: float = 30.0
