"""Whether a request may be shadowed at all: the first reason against it wins and is counted.

A model behind an unknown POST may write. So only configured paths are safe, and everything else is
not. The core is fed by fronts, which count what is returned here and add `queue_full` themselves.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from modelrollout.shadow import sampling

INFERENCE_PATHS = (
    "/v1/models/*:predict",
    "/v2/models/*/infer",
    "/v2/models/*/versions/*/infer",
    "/v1/chat/completions",
    "/v1/completions",
)
"""What only predicts, by KServe's, the Open Inference and OpenAI's protocols."""
CONTENT_TYPES = ("application/json", "application/octet-stream")
_SEGMENT = "[A-Za-z0-9._~:@+=,-]+"
"""No escapes and no semicolons: servers differ in what they make of them."""
_TRICKS = re.compile(r"//|/\.{1,2}(/|$)")
"""Paths that a server may read as another one than we do."""


class Eligibility(StrEnum):
    """The first reason against shadowing a request, or none."""

    ELIGIBLE = "eligible"
    METHOD_NOT_SAFE = "method_not_safe"
    CONTENT_TYPE = "content_type"
    TOO_LARGE = "too_large"
    OPTED_OUT = "opted_out"
    NO_ID = "no_id"
    NOT_SAMPLED = "not_sampled"
    QUEUE_FULL = "queue_full"
    """No room for one more. From here on: seen by fronts alone."""
    BYTES_FULL = "bytes_full"
    """No room for its body, or for the answer that came with it."""
    DUPLICATE = "duplicate"
    """Its id was seen just now: the first one counts."""
    CUT_OFF = "cut_off"
    """The copy, or the user's answer, was not complete."""
    STALE = "stale"
    """It waited too long for a free hand."""
    STOPPED = "stopped"
    """The front was told to end."""
    BROKEN = "comparer_error"
    """Comparing met a bug of its own."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of a request before its body is.

    Attributes:
        method: in capitals.
        path: as sent, with or without a query.
        content_type: the header's value.
        size: bytes of the body as announced or seen; None while it is not known.
        unit: what is sampled by: the request's id, or its session. Empty where it has none.
        shadow_header: the value of `x-model-shadow`; `off` opts out, and any other value says that
            this is a shadow's copy already.
    """

    method: str
    path: str
    content_type: str = ""
    size: int | None = None
    unit: str = ""
    shadow_header: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be shadowed.

    Attributes:
        sampling: which of those that may.
        paths: of POST requests that only predict; `*` is a name within one segment, no escapes.
        content_types: in lower case, without parameters.
        most_bytes: of a request's body.

    Raises:
        ValueError: on a path that does not begin with a slash, or no room for a body.
    """

    sampling: sampling.Sampling
    paths: tuple[str, ...] = INFERENCE_PATHS
    content_types: tuple[str, ...] = CONTENT_TYPES
    most_bytes: int = 1024 * 1024
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.paths or not all(path.startswith("/") for path in self.paths):
            raise ValueError(
                f"expected paths such as {INFERENCE_PATHS[0]}, found {self.paths}; "
                "begin each with a slash"
            )
        if self.most_bytes < 1:
            raise ValueError(f"expected room for a body, found {self.most_bytes} bytes")
        parts = ("".join(map(_matcher, re.split(r"(\*)", path))) for path in self.paths)
        object.__setattr__(self, "_pattern", re.compile("|".join(parts)))

    def judge(self, request: Request, *, in_slice_this_hour: int = 0) -> Eligibility:
        """The first reason against it. A size that is not known yet is no reason."""
        if not self.is_safe(request):
            return Eligibility.METHOD_NOT_SAFE
        media_type = request.content_type.partition(";")[0].strip().lower()
        if media_type not in self.content_types:
            return Eligibility.CONTENT_TYPE
        if request.size is not None and request.size > self.most_bytes:
            return Eligibility.TOO_LARGE
        if request.shadow_header:
            return Eligibility.OPTED_OUT
        if not request.unit:
            return Eligibility.NO_ID
        taken = self.sampling.takes(request.unit, in_slice_this_hour=in_slice_this_hour)
        return Eligibility.NOT_SAMPLED if taken is sampling.Taken.NO else Eligibility.ELIGIBLE

    def is_safe(self, request: Request) -> bool:
        """A POST to a configured path, spelled so that no server reads another path from it."""
        path = request.path.partition("?")[0]
        return (
            request.method == "POST"
            and _TRICKS.search(path) is None
            and self._pattern.fullmatch(path) is not None
        )


def _matcher(part: str) -> str:
    return _SEGMENT if part == "*" else re.escape(part)
