"""Taken or dropped: the one door for copies of requests, whatever front they come from.

Every copy that is seen ends here with its reason, or is handed on with a claim on the budget.
"""

import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modelrollout.shadow import eligibility, increments, sampling
from modelrollout.shadow.serving import budget, config, ledger

Drop = eligibility.Eligibility
_HOUR_S = 3600.0
_RECENT = 20_000
_MOST_ID = 256


@dataclass(slots=True)
class Taken:
    """A copy that is held.

    Attributes:
        request_id: by which its example is found again.
        slice_name: of the request.
        with_control: whether stable is asked for the noise floor.
        claim: its part of the budget.
        since_s: when it came, on the monotonic clock.
    """

    request_id: str
    slice_name: str
    with_control: bool
    claim: budget.Claim
    since_s: float


def rules_of(chosen: config.Config) -> eligibility.Rules:
    """The core's rules.

    Raises:
        ValueError: on paths that are none.
    """
    paired = chosen.noise.mode is config.Mode.PAIRED
    return eligibility.Rules(
        sampling=sampling.Sampling(
            salt=chosen.sampling.salt,
            millionths=_millionths(chosen.sampling.share),
            control_millionths=_millionths(chosen.noise.share) if paired else 0,
            least_per_hour=chosen.sampling.least_per_hour,
        ),
        paths=tuple(chosen.eligible.paths),
        content_types=tuple(chosen.eligible.content_types),
        most_bytes=chosen.eligible.most_bytes,
    )


def _millionths(share: float) -> int:
    return round(share * sampling.WHOLE)


@dataclass(slots=True)
class Door:
    """Judges copies, counts those that are dropped.

    Attributes:
        chosen: the configuration.
        book: where everything is counted.
        room: what may be held.
        clock: monotonic seconds.
    """

    chosen: config.Config
    book: ledger.Ledger
    room: budget.Budget
    clock: Callable[[], float]
    rules: eligibility.Rules = field(init=False)
    closed: bool = False
    _recent: "OrderedDict[int, None]" = field(default_factory=OrderedDict)
    _hourly: dict[str, tuple[int, int]] = field(default_factory=dict)
    _calibrated: int = 0

    def __post_init__(self) -> None:
        self.rules = rules_of(self.chosen)

    def take(
        self, *, method: str, path: str, headers: Mapping[str, str], size: int | None
    ) -> Taken | None:
        """One copy that was seen: held, or dropped and counted.

        Args:
            method: in capitals.
            path: as sent.
            headers: by name in lower case.
            size: of the body as announced; None where it is not known yet.
        """
        self.book.seen += 1
        slice_name = self._slice(headers)
        request_id = self._id(headers)
        request = eligibility.Request(
            method=method,
            path=path,
            content_type=headers.get("content-type", ""),
            size=size,
            unit=self._unit(headers, request_id),
            shadow_header=headers.get("x-model-shadow", ""),
        )
        reason = self._reason(request, slice_name=slice_name, request_id=request_id)
        claim = self.room.claim() if reason is Drop.ELIGIBLE else None
        if claim is None:
            self.drop(Drop.QUEUE_FULL if reason is Drop.ELIGIBLE else reason, slice_name)
            return None
        self._remember(request_id)
        self._count_hourly(slice_name)
        with_control = self._with_control(request.unit)
        return Taken(request_id[:_MOST_ID], slice_name, with_control, claim, self.clock())

    def drop(self, reason: Drop, slice_name: str) -> None:
        """A copy ends without a comparison."""
        self.book.end(reason, slice_name=slice_name)

    def let_go(self, taken: Taken, reason: Drop) -> None:
        """A copy that was taken ends without a comparison after all; only the first call counts."""
        if not taken.claim.released:
            taken.claim.release()
            self.drop(reason, taken.slice_name)

    def _reason(self, request: eligibility.Request, *, slice_name: str, request_id: str) -> Drop:
        reason = self.rules.judge(request, in_slice_this_hour=self._this_hour(slice_name))
        if reason is not Drop.ELIGIBLE:
            return reason
        if self.closed:
            return Drop.STOPPED
        known = request_id and hash(request_id) in self._recent
        return Drop.DUPLICATE if known else Drop.ELIGIBLE

    def _id(self, headers: Mapping[str, str]) -> str:
        for name in self.chosen.sampling.ids:
            if found := headers.get(name):
                return found
        return str(uuid.uuid4()) if self.chosen.sampling.without_id else ""

    def _unit(self, headers: Mapping[str, str], request_id: str) -> str:
        session = self.chosen.sampling.session
        return request_id if session is None else headers.get(session, "")

    def _slice(self, headers: Mapping[str, str]) -> str:
        slices = self.chosen.slices
        if slices is None:
            return ledger.WHOLE
        return increments.folded(headers.get(slices.header, ""), declared=tuple(slices.values))

    def _with_control(self, unit: str) -> bool:
        if self.chosen.noise.mode is config.Mode.CALIBRATE:
            self._calibrated += 1
            return self._calibrated <= self.chosen.noise.pairs
        return self.rules.sampling.takes_control(unit)

    def _remember(self, request_id: str) -> None:
        self._recent[hash(request_id)] = None
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)

    def _this_hour(self, slice_name: str) -> int:
        hour, count = self._hourly.get(slice_name, (0, 0))
        return count if hour == int(self.clock() / _HOUR_S) else 0

    def _count_hourly(self, slice_name: str) -> None:
        hour = int(self.clock() / _HOUR_S)
        self._hourly[slice_name] = (hour, self._this_hour(slice_name) + 1)
