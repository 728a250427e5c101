"""The operator's own key, from which the tokens of all routers follow: a Secret beside its Lease.

The leader makes it once; every replica reads it. Deleting it makes a new one, and every router
restarts, one Envoy after the other, with a new token.
"""

import base64
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

from modelrollout.adapters.apiserver import ApiError, Apiserver, path_of
from modelrollout.adapters.gate import GateClosedError
from modelrollout.routing.router import credentials, naming

FRESH_S: Final = 300.0
_FIELD: Final = "key"


class Keys:
    """Where the key is kept."""

    def __init__(self, apiserver: Apiserver, *, namespace: str, name: str) -> None:
        self._apiserver, self._namespace, self._name = apiserver, namespace, name
        self._known: tuple[float, bytes | None] = (-FRESH_S, None)

    async def current(self) -> bytes | None:
        """The key; None where there is none, and this replica may not make one.

        Raises:
            ApiError: when the apiserver refuses or does not answer.
        """
        at, key = self._known
        if key is not None and time.monotonic() - at < FRESH_S:
            return key
        key = await self._read() or await self._made()
        self._known = (time.monotonic(), key)
        return key

    async def _read(self) -> bytes | None:
        found = await self._apiserver.get(path_of(naming.SECRET, self._namespace, self._name))
        return _of(found or {})

    async def _made(self) -> bytes | None:
        key = secrets.token_bytes(credentials.LEAST_KEY_BYTES)
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "type": "Opaque",
            "data": {_FIELD: base64.b64encode(key).decode()},
        }
        try:
            await self._apiserver.create(path_of(naming.SECRET, self._namespace), body)
        except GateClosedError:
            return None
        except ApiError as problem:
            if problem.is_conflict:
                return await self._read()
            raise
        return key


def _of(secret: Mapping[str, Any]) -> bytes | None:
    try:
        key = base64.b64decode((secret.get("data") or {}).get(_FIELD, ""), validate=True)
    except ValueError:
        return None
    return key if len(key) >= credentials.LEAST_KEY_BYTES else None
