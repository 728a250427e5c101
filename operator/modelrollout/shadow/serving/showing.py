"""Keeps a few disagreements for people: redacted first, and only so many a second."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from modelrollout.shadow import examples, redacting, settling
from modelrollout.shadow.serving import taking

_EVERY_S = 0.1
"""Reading an answer once more for showing costs what comparing it did."""


@dataclass(slots=True)
class Shown:
    """The ring, and when it last took something in.

    Attributes:
        ring: of examples.
        redaction: what may be seen.
        clock: monotonic seconds.
        today: seconds since the epoch, for people.
    """

    ring: examples.Ring
    redaction: redacting.Redaction
    clock: Callable[[], float] = time.monotonic
    today: Callable[[], float] = time.time
    _next_s: float = float("-inf")
    _problems: dict[str, str] = field(default_factory=dict)

    def wants(self) -> bool:
        """Whether one more may be shown by now."""
        return self.clock() >= self._next_s

    def add(
        self,
        settled: settling.Settled,
        *,
        taken: taking.Taken,
        primary: tuple[object, ...],
        candidate: tuple[object, ...],
    ) -> None:
        """One disagreement, or the sentence of what was wrong."""
        self._next_s = self.clock() + _EVERY_S
        for problem in settled.problems[:1]:
            self._problems[settled.outcome] = problem.detail
        at = next((i for i, row in enumerate(settled.rows) if row and row.disagrees), None)
        row = None if at is None else settled.rows[at]
        differences = row.differences if row else ()
        kind = differences[0].kind if differences else settled.outcome
        self.ring.add(
            examples.Example(
                request=taken.request_id,
                at_s=self.today(),
                slice_name=taken.slice_name,
                kind=kind,
                differences=differences,
                primary=self._redacted(primary, at),
                candidate=self._redacted(candidate, at),
            )
        )

    def _redacted(self, instances: tuple[object, ...], at: int | None) -> Mapping[str, str]:
        if at is None or at >= len(instances):
            return {}
        return redacting.redacted(instances[at], self.redaction)

    def as_json(self) -> dict[str, object]:
        """All that may be seen, newest first."""
        fresh = self.ring.fresh(self.today())
        return {
            "examples": [
                {
                    **asdict(example),
                    "differences": [asdict(difference) for difference in example.differences],
                    "primary": dict(example.primary),
                    "candidate": dict(example.candidate),
                }
                for example in fresh
            ],
            "leftOut": self.ring.left_out,
            "problems": dict(self._problems),
        }
