"""Which configuration of a router is newer: the number that Envoys carry with every request.

A router's configuration follows from the object (its creation), the persisted decision (its
sequence) and the spec (its generation); and from the rules of this package, which another release
may change. Compared in this order: a recreated rollout begins its sequence anew, and must still be
newer than what the Envoys, which outlive it, have from the one before.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

RULES: Final = 1
"""Raised by every release that renders the same decision in another way."""
_TEXT: Final = re.compile(r"(\d{1,12})\.(\d{1,12})\.(\d{1,12})\.(\d{1,6})")


@dataclass(frozen=True, slots=True, order=True)
class Edition:
    """One configuration; later ones are greater.

    Attributes:
        created: when the rollout was created, seconds since the epoch.
        sequence: of the persisted decision.
        generation: of the spec.
        rules: of rendering.
    """

    created: int
    sequence: int
    generation: int
    rules: int = RULES

    def __str__(self) -> str:
        return f"{self.created}.{self.sequence}.{self.generation}.{self.rules}"

    @classmethod
    def parsed(cls, text: str) -> Self | None:
        """The edition that a `version_info` names; None for none, and for one that is not ours."""
        found = _TEXT.fullmatch(text)
        return cls(*(int(number) for number in found.groups())) if found else None

    @classmethod
    def of(cls, metadata: Mapping[str, Any], *, sequence: int) -> Self:
        """The edition of a rollout, by the metadata of its object."""
        return cls(created(metadata), sequence, int(metadata.get("generation", 0)))


def created(metadata: Mapping[str, Any]) -> int:
    """When an object was created, seconds since the epoch."""
    return int(datetime.fromisoformat(str(metadata["creationTimestamp"])).timestamp())
