"""Where in a JSON answer the prediction lies: JSON Pointer (RFC 6901), plus `*` and `[]`.

`/choices/[]/text` is the text of every choice, `/scores/*` every value of an object. No expression
language: what a path can say, a reader can check by eye. The core is fed by fronts.
"""

from dataclasses import dataclass
from typing import Self

from modelrollout.shadow import jsontext, trouble


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path; without steps it is the whole value."""

    steps: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Self:
        """Parse `text`.

        Raises:
            ValueError: where a path is not empty and does not begin with a slash, or has a `~`
                that is neither `~0` nor `~1`.
        """
        if not text:
            return cls()
        if not text.startswith("/"):
            raise ValueError(
                f"expected a path such as /predictions/[]/score, or none, found {text!r}; "
                "begin it with a slash"
            )
        return cls(tuple(_unescaped(step, text) for step in text[1:].split("/")))

    def __str__(self) -> str:
        escaped = (step.replace("~", "~0").replace("/", "~1") for step in self.steps)
        return "".join(f"/{step}" for step in escaped)

    @property
    def is_plural(self) -> bool:
        """Whether it may find several values."""
        return "*" in self.steps or "[]" in self.steps


def _unescaped(step: str, whole: str) -> str:
    if "~" in step.replace("~0", "").replace("~1", ""):
        raise ValueError(
            f"expected ~0 or ~1 after which a path goes on, found a bare ~ in {whole!r}; "
            "write ~0 for ~ and ~1 for /"
        )
    return step.replace("~1", "/").replace("~0", "~")


def found(value: object, path: Path) -> list[object]:
    """All values at `path`, in order; exactly one unless the path is plural.

    Raises:
        UnreadableError: `SCHEMA`, saying which step found nothing.
    """
    here = [value]
    for depth, step in enumerate(path.steps):
        here = [inner for outer in here for inner in _stepped(outer, step, path, depth)]
    return here


def _stepped(value: object, step: str, path: Path, depth: int) -> list[object]:
    match step, value:
        case ("[]", list()):
            return value
        case ("*", list() | dict()):
            return list(jsontext.children(value))
        case (_, dict()) if step in value:
            return [value[step]]
        case (_, list()) if step.isdecimal() and len(step) < 10 and int(step) < len(value):  # noqa: PLR2004
            return [value[int(step)]]
        case _:
            reached = Path(path.steps[: depth + 1])
            raise trouble.UnreadableError(
                trouble.Trouble.SCHEMA,
                f"expected something at {reached}, found {jsontext.kind(value)} without it",
            )


def covers(pattern: Path, place: tuple[str, ...]) -> bool:
    """Whether `place`, with `[]` for any item of an array, lies at or below `pattern`."""
    if len(pattern.steps) > len(place):
        return False
    return all(want in (step, "*") for want, step in zip(pattern.steps, place, strict=False))
