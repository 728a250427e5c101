"""The hash of a user: the same as Envoy's, so that a router and any program agree.

`bucket = xxh64(salt + ":" + unit, seed 0) mod 10,000`, over UTF-8. The salt makes the draws of two
rollouts independent: without it the same tenth of the users would meet every new model.
"""

from typing import Final

import xxhash

from modelrollout.api.scalars import PARTS

SLICES: Final = 100
"""Values of the label that exporters give to sums by user, for evidence with users as units."""
_SLICING: Final = "modelrollout/buckets"


def salted(unit: str, *, salt: str) -> str:
    """What is hashed."""
    return f"{salt}:{unit}"


def bucket(unit: str, *, salt: str) -> int:
    """Which of `PARTS` buckets a user is in.

    Args:
        unit: the user, as the header or cookie says it.
        salt: of the rollout.
    """
    return _draw(unit, salt=salt) % PARTS


def label(unit: str, *, slices: int = SLICES) -> str:
    """The value of an exporter's hash-bucket label, "0" to `slices - 1`.

    Its salt is fixed: it is independent of every rollout's, as sums by bucket must be of the arms,
    and stays the same from one test to the next.
    """
    return str(_draw(unit, salt=_SLICING) % slices)


def _draw(unit: str, *, salt: str) -> int:
    # Bytes that are no UTF-8 arrive from headers as surrogates, and are hashed as they came.
    return xxhash.xxh64_intdigest(salted(unit, salt=salt).encode("utf-8", "surrogateescape"))
