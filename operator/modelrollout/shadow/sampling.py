"""Which requests are shadowed: decided by a hash of the id, never by chance of the moment.

Primary, shadow and labels so sample the same requests, a higher share keeps all that a lower one
took, and the share is recorded for re-weighting. Stateful models are sampled by session: all of one
or none. The core is fed by fronts, which know the id and count per slice and hour.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

WHOLE = 1_000_000
"""Shares are whole millionths: no edge of a float decides."""


class Taken(StrEnum):
    """Why a request is shadowed, or that it is not."""

    SHARE = "share"
    FLOOR = "floor"
    """Beyond the share, as its slice has too few this hour; weigh it by its slice."""
    NO = "no"


def draw(salt: str, unit: str) -> int:
    """Uniform over 64 bits: the first eight bytes of SHA-256 over "v1", salt and unit, NUL between.

    Equal for equal text; half a character is hashed as it came.
    """
    text = f"v1\0{salt}\0{unit}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8])


def within(salt: str, unit: str, *, millionths: int) -> bool:
    """Whether the unit lies in the share, and so in every larger one; exact integer arithmetic."""
    if millionths in (0, WHOLE):
        return bool(millionths)  # as the draw would say, without one
    return (draw(salt, unit) * WHOLE) >> 64 < millionths


@dataclass(frozen=True, slots=True)
class Sampling:
    """What share of all eligible requests is shadowed.

    Attributes:
        salt: of the rollout; another salt takes others.
        millionths: the share, 0 to 1,000,000.
        control_millionths: of the shadowed ones, which also go to the control.
        least_per_hour: of each slice, whatever the share; 0 asks for none.

    Raises:
        ValueError: on a share outside of its range, or a negative least.
    """

    salt: str
    millionths: int
    control_millionths: int = 0
    least_per_hour: int = 0

    def __post_init__(self) -> None:
        for name, share in (("share", self.millionths), ("control", self.control_millionths)):
            if not 0 <= share <= WHOLE:
                raise ValueError(f"expected a {name} of 0 to {WHOLE} millionths, found {share}")
        if self.least_per_hour < 0:
            raise ValueError(f"expected at least 0 an hour, found {self.least_per_hour}")

    def takes(self, unit: str, *, in_slice_this_hour: int = 0) -> Taken:
        """Whether a request, or a session, is shadowed."""
        if within(f"{self.salt}/shadow", unit, millionths=self.millionths):
            return Taken.SHARE
        return Taken.FLOOR if in_slice_this_hour < self.least_per_hour else Taken.NO

    def takes_control(self, unit: str) -> bool:
        """Whether a shadowed request also goes to the control; independent of `takes`."""
        return within(f"{self.salt}/control", unit, millionths=self.control_millionths)
