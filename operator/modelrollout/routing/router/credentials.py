"""How an Envoy shows that it belongs to a rollout: a token that follows from one key.

Every replica of the operator can check it, and none ever reads a Secret of a tenant.
"""

import hmac
from hashlib import sha256
from typing import Final

LEAST_KEY_BYTES: Final = 32


def token(key: bytes, *, namespace: str, name: str) -> str:
    """The token of one rollout's Envoys: 64 hexadecimal digits.

    Args:
        key: the operator's own, of at least `LEAST_KEY_BYTES`.
        namespace: of the rollout.
        name: of the rollout; a rollout that comes back finds its Envoys with the token they have.

    Raises:
        ValueError: for a key that is too short to be one.
    """
    if len(key) < LEAST_KEY_BYTES:
        raise ValueError(f"expected a key of {LEAST_KEY_BYTES} bytes or more, found {len(key)}")
    return hmac.new(key, f"router/{namespace}/{name}".encode(), sha256).hexdigest()


def feed(shown: str) -> str:
    """What the Envoys of a rollout show its observer: 64 hexadecimal digits.

    It follows from their token and does not lead back to it: whoever reads the observer's pod
    learns nothing that the operator would answer to.

    Args:
        shown: the token of the Envoys.
    """
    return hmac.new(shown.encode(), b"observer", sha256).hexdigest()


def is_right(shown: object, expected: str) -> bool:
    """Whether a token that was shown is the right one, in time that tells nothing of it."""
    text = shown if isinstance(shown, str) else ""
    return hmac.compare_digest(text.encode("utf-8", "surrogatepass"), expected.encode())
