"""What of a disagreement may be shown: declared fields of the output, nothing of the input.

An allow-list: what was not declared becomes its type and size. Texts become their lengths unless
asked otherwise. The core is fed by fronts.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from modelrollout.shadow import jsontext, paths
from modelrollout.shadow.tasks import differing

MOST_SHOWN = 50
"""Values of one example."""
MOST_CHARACTERS = 500
"""Of a text that is kept."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What may be seen.

    Attributes:
        fields: declared places in an instance; without steps the whole of it.
        keep_text: whether strings at those places are shown, cut, or their lengths.
    """

    fields: tuple[paths.Path, ...] = ()
    keep_text: bool = False


def redacted(value: object, redaction: Redaction) -> Mapping[str, str]:
    """The leaves of one instance by place: shown where declared, else described by type.

    An item of an array is `[]`; of several values at one place the first is shown. At most
    `MOST_SHOWN` places; keys that were not declared are `*`, as they may be data.
    """
    shown: dict[str, str] = {}
    level: list[tuple[differing.Place, object]] = [((), value)]
    while level and len(shown) < MOST_SHOWN:
        for place, leaf in level:
            if not _inner(place, leaf) and len(shown) < MOST_SHOWN:
                name, text = _described(place, leaf, redaction)
                shown.setdefault(name, text)
        level = [inner for place, outer in level for inner in _inner(place, outer)]
    return shown


def _inner(place: differing.Place, value: object) -> list[tuple[differing.Place, object]]:
    match value:
        case dict():
            return [((*place, str(key)), inner) for key, inner in value.items()]
        case list():
            return [((*place, differing.ITEM), inner) for inner in value]
        case _:
            return []


def _described(place: differing.Place, leaf: object, redaction: Redaction) -> tuple[str, str]:
    if any(paths.covers(field, place) for field in redaction.fields):
        return str(paths.Path(place)), _shown(leaf, keep_text=redaction.keep_text)
    return "/".join(("", *("*" for _ in place))), f"<{jsontext.kind(leaf)}>"


def _shown(leaf: object, *, keep_text: bool) -> str:
    match leaf:
        case str() if keep_text:
            return leaf[:MOST_CHARACTERS].encode(errors="replace").decode()
        case str():
            return f"<string of {len(leaf)}>"
        case int() | float() if not isinstance(leaf, bool):
            return _number(leaf)
        case _:
            return f"<{jsontext.kind(leaf)}>" if leaf in ([], {}) else str(leaf).lower()


def _number(value: float) -> str:
    return "<number beyond 1e100>" if abs(value) > jsontext.MOST else repr(value)


def fingerprint(body: bytes, *, key: bytes) -> str:
    """HMAC-SHA256 of a body in hex, to know a duplicate by; without the key it says nothing.

    Raises:
        ValueError: on a key of less than 16 bytes.
    """
    if len(key) < 16:  # noqa: PLR2004
        raise ValueError(f"expected a key of at least 16 bytes, found {len(key)}")
    return hmac.new(key, body, hashlib.sha256).hexdigest()
