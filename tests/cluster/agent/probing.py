"""Probes: what one looks like, when its results count (pure), and how it is asked."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

Json = dict[str, Any]
Execute = Callable[[list[str]], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of the manifest, with the defaults of the API filled in by the apiserver."""

    action: Json
    initial_delay_s: float
    period_s: float
    timeout_s: float
    success_threshold: int
    failure_threshold: int

    @classmethod
    def of(cls, container: Json, kind: str) -> "Probe | None":
        """The container's `startupProbe`, `readinessProbe` or `livenessProbe`, if it has one."""
        if kind not in container:
            return None
        spec = container[kind]
        return cls(
            action={k: v for k, v in spec.items() if k in ("httpGet", "tcpSocket", "exec", "grpc")},
            initial_delay_s=spec.get("initialDelaySeconds", 0),
            period_s=spec.get("periodSeconds", 10),
            timeout_s=spec.get("timeoutSeconds", 1),
            success_threshold=spec.get("successThreshold", 1),
            failure_threshold=spec.get("failureThreshold", 3),
        )


class UnknownPortError(Exception):
    """A probe names a port that the container does not declare."""


class Tally:
    """Counts results in a row; says when they are enough to change the verdict."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._last: bool | None = None
        self._in_a_row = 0

    def count(self, *, success: bool) -> bool | None:
        """The verdict this result brings, or None while it takes more of the same."""
        self._in_a_row = self._in_a_row + 1 if success == self._last else 1
        self._last = success
        needed = self._probe.success_threshold if success else self._probe.failure_threshold
        return success if self._in_a_row >= needed else None


@dataclass(frozen=True, slots=True)
class Prober:
    """Asks a container's probes over the network or by a command in the container."""

    session: aiohttp.ClientSession
    host: str
    ports: Mapping[str, int]
    execute: Execute

    async def ask(self, probe: Probe) -> bool:
        """Whether the probe succeeds now, within its timeout."""
        try:
            async with asyncio.timeout(probe.timeout_s):
                return await self._ask(probe.action)
        except (TimeoutError, OSError, aiohttp.ClientError, UnknownPortError):
            return False

    async def run_hook(self, action: Json) -> None:
        """Do a lifecycle hook, which has the form of a probe; its failure changes nothing."""
        with contextlib.suppress(OSError, aiohttp.ClientError, UnknownPortError):
            await self._ask(action)

    async def _ask(self, action: Json) -> bool:
        match action:
            case {"httpGet": get}:
                return await self._http(get)
            case {"tcpSocket": tcp}:
                _, writer = await asyncio.open_connection(
                    tcp.get("host", self.host), self._port(tcp["port"])
                )
                writer.close()
                return True
            case {"exec": command}:
                return await self.execute(command["command"]) == 0
            case _:
                return False  # gRPC: not supported, and so never ready

    async def _http(self, get: Json) -> bool:
        scheme = get.get("scheme", "HTTP").lower()
        host = get.get("host", self.host)
        url = f"{scheme}://{host}:{self._port(get['port'])}/{get.get('path', '/').lstrip('/')}"
        headers = {h["name"]: h["value"] for h in get.get("httpHeaders", [])}
        async with self.session.get(
            url, headers=headers, ssl=_UNVERIFIED, allow_redirects=False
        ) as answer:
            return 200 <= answer.status < 400

    def _port(self, port: int | str) -> int:
        if isinstance(port, int):
            return port
        if port not in self.ports:
            raise UnknownPortError(port)
        return self.ports[port]


# As the kubelet does: probes do not verify certificates.
_UNVERIFIED = ssl.create_default_context()
_UNVERIFIED.check_hostname = False
_UNVERIFIED.verify_mode = ssl.CERT_NONE


def ports_of(container: Json) -> dict[str, int]:
    """The container's named ports."""
    return {p["name"]: p["containerPort"] for p in container.get("ports", []) if "name" in p}
