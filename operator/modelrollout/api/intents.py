"""What people ask for: intents, as annotations with an id.

`modelrollout.dev/pause: "7f3a"` pauses once; the id is acknowledged in status, so that the same
annotation, left in Git for ever, acts once. Further words are `key=value` pairs:
`modelrollout.dev/approve: "7f3b step=2 revision=6c9f"`, `modelrollout.dev/promote: "7f3c
despite='checked by hand'"`. Who gave an intent stands in `modelrollout.dev/by`; the chart's
admission policy checks that it is the user whom the apiserver saw.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

GROUP: Final = "modelrollout.dev"
BY: Final = f"{GROUP}/by"


class Kind(StrEnum):
    """The six intents, in the order in which they are weighed when given at once."""

    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"
    APPROVE = "approve"
    PROMOTE = "promote"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Intent:
    """One intent as given.

    Attributes:
        kind: what is asked.
        id: the first word of the annotation; an id acts once.
        by: who gave it, as the annotation says.
        words: the further `key=value` words.
        malformed: what is wrong with the text, if anything is.
    """

    kind: Kind
    id: str
    by: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    malformed: str = ""


def from_annotations(annotations: Mapping[str, str]) -> tuple[Intent, ...]:
    """All intents that the annotations of a rollout carry, in the order of `Kind`."""
    by = annotations.get(BY, "")[:253]
    texts = ((kind, annotations.get(f"{GROUP}/{kind}", "").strip()) for kind in Kind)
    return tuple(_parsed(kind, text, by=by) for kind, text in texts if text)


def _parsed(kind: Kind, text: str, *, by: str) -> Intent:
    try:
        first, *rest = shlex.split(text)
    except ValueError as problem:
        return Intent(kind, text[:128], by, malformed=f"unreadable ({problem})")
    pairs = dict(word.partition("=")[::2] for word in rest)
    return Intent(kind, first[:128], by, pairs)


def annotation(intent: Intent) -> tuple[str, str]:
    """The annotation's key and value that give this intent."""
    words = [shlex.quote(f"{key}={value}") for key, value in intent.words.items()]
    return f"{GROUP}/{intent.kind}", " ".join([intent.id, *words])
