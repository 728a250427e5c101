"""JSON of a server under test: parsed once, within bounds, nothing raised but the classes.

The core is fed by fronts. NaN and infinities, which Python servers like to write, are let through
as floats here: whether they are trouble is the task's to say.
"""

import json
import math
from collections.abc import Iterable

from modelrollout.shadow import answers, trouble

MOST_NESTED = 64
"""Deeper JSON is refused: walking it is recursive, and no prediction is that deep."""
MOST = 1e100
"""The largest size of a number: sums of squares of larger ones leave the floats."""
_KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def of(answer: answers.Answer, *, most_bytes: int) -> object:
    """The JSON value of a successful answer.

    Raises:
        UnreadableError: `ERROR`, `TOO_LARGE`, `ENCODING`, `UTF8` or `UNPARSEABLE`.
    """
    answers.refuse_failed(answer)
    body = answers.unpacked(answer, most_bytes=most_bytes)
    return parsed(answers.as_text(body, charset=answer.charset))


def parsed(text: str) -> object:
    """One JSON value, nested at most `MOST_NESTED` deep.

    Raises:
        UnreadableError: `UNPARSEABLE`; `UTF8` on escapes that are half a character.
    """
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise trouble.UnreadableError(
            trouble.Trouble.UNPARSEABLE, f"expected JSON, found something else: {_where(error)}"
        ) from error
    # Who opens no more brackets than that cannot be deeper, and need not be walked.
    if text.count("{") + text.count("[") > MOST_NESTED:
        _refuse_deep(value)
    if "\\ud" in text or "\\uD" in text:
        _refuse_surrogates(value)
    return value


def _where(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at offset {error.pos}"
    return "too many digits or brackets"


def _refuse_deep(value: object) -> None:
    level: list[object] = [value]
    for _ in range(MOST_NESTED + 1):
        level = [inner for outer in level for inner in children(outer) if _nests(inner)]
        if not level:
            return
    raise trouble.UnreadableError(
        trouble.Trouble.UNPARSEABLE, f"expected JSON at most {MOST_NESTED} deep, found it deeper"
    )


def _nests(value: object) -> bool:
    return isinstance(value, (dict, list))


def children(value: object) -> Iterable[object]:
    """Of an object its values, of an array its items, of anything else nothing."""
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def _refuse_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise trouble.UnreadableError(
            trouble.Trouble.UTF8, "expected whole characters, found an escaped half of one"
        ) from error


def kind(value: object) -> str:
    """The JSON name of a value's type, for sentences: a boolean is no number."""
    return _KINDS.get(type(value), type(value).__name__)


def number(value: object, *, what: str) -> float:
    """A number of JSON that can be summed.

    Raises:
        UnreadableError: `SCHEMA` on another type; `NAN` on NaN, and on what is beyond `MOST`,
            infinities included.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise trouble.UnreadableError(
            trouble.Trouble.SCHEMA, f"expected {what} to be a number, found {kind(value)}"
        )
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not abs(found) <= MOST:
        raise trouble.UnreadableError(
            trouble.Trouble.NAN, f"expected {what} of at most {MOST:g}, found NaN or beyond"
        )
    return found
