"""One client of the apiserver: plain dicts, a timeout on each call, the write gate, sane retries.

The library's typed models drop fields that they do not know, so objects stay dicts from the wire
to the pure rooms; its transport, login and token refresh are used, and nothing else of it.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio import client, config

from modelrollout.adapters.gate import CALL_TIMEOUT_S, Bucket, Gate
from modelrollout.routing.contract import MANAGER, Kind, Reference

Json = dict[str, Any]

MERGE: Final = "application/merge-patch+json"
PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"

_READ_TIMEOUT_S = 10.0
_TRIES = 4
_FIRST_PAUSE_S = 0.25
_CONFLICT, _INVALID, _NOT_FOUND, _TOO_MANY = 409, 422, 404, 429
_FORBIDDEN = 403
_SERVER_ERROR = 500


class ApiError(Exception):
    """The apiserver refused, or could not be reached (status 0).

    Attributes:
        status: of HTTP.
        reason: of the Kubernetes Status, such as `Conflict` or `Forbidden`.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{reason or status}: {message[:512]}")
        self.status, self.reason = status, reason

    @property
    def is_conflict(self) -> bool:
        """The object is not what it was when it was read: read again, decide again."""
        return self.status in {_CONFLICT, _INVALID, _NOT_FOUND}

    @property
    def is_forbidden(self) -> bool:
        """The operator has no right to do this."""
        return self.status == _FORBIDDEN

    @property
    def is_passing(self) -> bool:
        """The same call may succeed a little later."""
        return self.status in {0, _TOO_MANY} or self.status >= _SERVER_ERROR


def path_of(kind: Kind, namespace: str | None, name: str | None = None) -> str:
    """The path of a kind's collection, or of one object; every segment is quoted."""
    root = f"/apis/{quote(kind.group, safe='')}" if kind.group else "/api"
    parts = [root, quote(kind.version, safe="")]
    if namespace is not None:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(quote(kind.plural, safe=""))
    if name is not None:
        parts.append(quote(name, safe=""))
    return "/".join(parts)


def path_to(reference: Reference) -> str:
    """The path of one object."""
    return path_of(reference.kind, reference.namespace or None, reference.name)


class Apiserver:
    """Calls to the apiserver. Reads are free; writes pass the gate and the bucket."""

    def __init__(self, transport: client.ApiClient, *, gate: Gate, bucket: Bucket) -> None:
        self._transport, self._gate, self._bucket = transport, gate, bucket

    @classmethod
    async def connect(cls, *, gate: Gate, bucket: Bucket | None = None) -> Self:
        """Logs in with the pod's service account, else with the kubeconfig."""
        settings = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=settings)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=settings)
        settings.client_session_kwargs = {"trust_env": False}
        return cls(client.ApiClient(settings), gate=gate, bucket=bucket or Bucket())

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json | None:
        """An object or list; None where there is none.

        Raises:
            ApiError: on any other answer.
        """
        try:
            return await self._retried(lambda: self._call("GET", path, query=query))
        except ApiError as problem:
            if problem.status == _NOT_FOUND:
                return None
            raise

    async def items(self, path: str, query: Mapping[str, str] | None = None) -> list[Json]:
        """All objects of a collection, page by page; none where the kind does not exist."""
        found: list[Json] = []
        following = ""
        while True:
            more = {"continue": following} if following else {}
            page = await self.get(path, {**(query or {}), "limit": "500", **more})
            if page is None:
                return found
            found.extend(page.get("items") or [])
            following = (page.get("metadata") or {}).get("continue") or ""
            if not following:
                return found

    async def cached(self, path: str, query: Mapping[str, str] | None = None) -> list[Json]:
        """All objects of a collection as the apiserver's watch cache has them.

        As new as the events that wake us, since those come from the same cache. A list from the
        store decodes every object of the namespace whatever is selected: with 400 rollouts in one
        namespace that was all an apiserver could do.
        """
        page = await self.get(path, {**(query or {}), "resourceVersion": "0"})
        return [] if page is None else list(page.get("items") or [])

    async def everywhere(
        self, kind: Kind, namespaces: Sequence[str], *, cached: bool = False
    ) -> list[Json]:
        """All objects of a kind in these namespaces; in all of them when none is given."""
        spaces: Sequence[str | None] = namespaces or (None,)
        listed = self.cached if cached else self.items
        pages = await asyncio.gather(*(listed(path_of(kind, space)) for space in spaces))
        return [one for page in pages for one in page]

    async def apply(self, path: str, body: Json) -> Json:
        """Server-side apply of everything that is ours in an object; idempotent, so retried."""
        query = {"fieldManager": MANAGER, "force": "true"}
        return await self._retried(
            lambda: self._write("PATCH", path, query=query, body=body, content=APPLY)
        )

    async def patch(self, path: str, operations: Sequence[Json]) -> Json:
        """A JSON patch; with `test` operations it fails when the object has changed meanwhile."""
        query = {"fieldManager": MANAGER}
        return await self._write("PATCH", path, query=query, body=list(operations), content=PATCH)

    async def merge(self, path: str, body: Json) -> Json:
        """A merge patch, for what nobody else writes."""
        return await self._write("PATCH", path, body=body, content=MERGE)

    async def create(self, path: str, body: Json) -> Json:
        """A new object."""
        return await self._write("POST", path, body=body)

    async def delete(self, path: str, body: Json) -> None:
        """Deletes an object, `body` being DeleteOptions with preconditions; absent is as good."""
        try:
            await self._write("DELETE", path, body=body)
        except ApiError as problem:
            if problem.status != _NOT_FOUND:
                raise

    async def lease(self, method: str, path: str, body: Json | None, *, timeout_s: float) -> Json:
        """A call about the Lease itself: neither gate nor bucket may hold it up."""
        return await self._call(method, path, body=body, timeout_s=timeout_s)

    async def _write(
        self,
        method: str,
        path: str,
        *,
        body: object,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Json:
        await self._bucket.take()
        self._gate.check()
        return await self._call(
            method, path, query=query, body=body, content=content, timeout_s=CALL_TIMEOUT_S
        )

    async def _retried(self, call: Callable[[], Awaitable[Json]]) -> Json:
        pause_s = _FIRST_PAUSE_S
        for _ in range(_TRIES - 1):
            try:
                return await call()
            except ApiError as problem:
                if not problem.is_passing:
                    raise
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            pause_s *= 2.0
        return await call()

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content: str = "application/json",
        timeout_s: float = _READ_TIMEOUT_S,
    ) -> Json:
        transport = self._transport
        headers = {"Accept": "application/json", "Content-Type": content}
        await transport.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = transport.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        try:
            answer = await transport.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=timeout_s
            )
            text = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise ApiError(0, "Unreachable", f"{type(problem).__name__} {problem}") from problem
        return _checked(answer.status, text)


def _checked(status: int, text: bytes) -> Json:
    try:
        answer = json.loads(text) if text else {}
    except ValueError:
        answer = {}
    answer = answer if isinstance(answer, dict) else {}
    if status >= 400:  # noqa: PLR2004 - errors of HTTP
        message = str(answer.get("message") or text[:256].decode(errors="replace"))
        raise ApiError(status, str(answer.get("reason") or ""), message)
    return answer
