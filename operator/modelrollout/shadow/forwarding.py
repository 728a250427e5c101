"""Which headers a shadow's copy of a request carries: no credentials, no hop-by-hop, its role.

The core is fed by fronts, which send the copy.
"""

import functools
from collections.abc import Iterable
from enum import StrEnum

ROLE = "x-model-shadow"
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""RFC 9110, section 7.6.1; and whatever `Connection` names."""
_OF_THE_BODY = frozenset({"accept-encoding", "content-length", "host", "expect", ROLE})
"""Set anew by whoever sends."""
_CREDENTIALS = (
    "authorization",
    "cookie",
    "api-key",
    "apikey",
    "token",
    "secret",
    "password",
    "credential",
    "session",
    "x-forwarded-client-cert",
    "x-amz-security",
)
"""A header whose name holds one of these is one, unless it is allowed by name."""


class Role(StrEnum):
    """For whom the copy is."""

    CANDIDATE = "candidate"
    CONTROL = "control"


def headers(
    received: Iterable[tuple[str, str]], *, role: Role, allowed: frozenset[str] = frozenset()
) -> list[tuple[str, str]]:
    """What goes with the copy, names in lower case, in the order received.

    Then the one encoding that is spoken here, and the role.
    Ids and trace context stay, as both sides must be found under one id.

    Args:
        received: names in any case, values as they came.
        role: of whoever gets the copy.
        allowed: names in lower case of credentials that may go along.
    """
    lower = [(name.lower(), value) for name, value in received]
    named = {
        word.strip().lower()
        for name, value in lower
        if name == "connection"
        for word in value.split(",")
    }
    dropped = _HOP_BY_HOP | _OF_THE_BODY | named
    kept = [
        (name, value)
        for name, value in lower
        if name not in dropped
        and not name.startswith(":")
        and (name in allowed or not is_credential(name))
    ]
    return [*kept, ("accept-encoding", "gzip"), (ROLE, role)]


@functools.lru_cache(maxsize=1024)
def is_credential(name: str) -> bool:
    """Whether a header of this name, in lower case, is taken for a credential."""
    return any(word in name for word in _CREDENTIALS)
