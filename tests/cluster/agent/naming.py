"""A name server for Services: A records of their ready endpoints, kept up to date by a watch.

There is no kube-proxy here, so a ClusterIP would lead nowhere: names of ordinary Services resolve
to pods too. Nothing else exists: nothing of the world outside can be reached anyway.
"""

import asyncio
import random
import socket
import struct
from typing import Any, cast

from tests.cluster import network, resolving
from tests.cluster.agent import apiserver

Json = dict[str, Any]

_PORT = 53
_A, _IN = 1, 1
_NO_ERROR, _NO_SUCH_NAME = 0, 3
_TTL_S = 0  # nobody shall remember an endpoint that is gone
_AT_MOST = 25  # answers that fit into the 512 bytes every resolver takes


class Directory:
    """Which addresses each Service has."""

    def __init__(self) -> None:
        self._slices: dict[str, Json] = {}

    def put(self, item: Json) -> None:
        """Take note of an EndpointSlice."""
        self._slices[item["metadata"]["uid"]] = item

    def remove(self, item: Json) -> None:
        """Forget an EndpointSlice."""
        self._slices.pop(item["metadata"]["uid"], None)

    def replace(self, items: list[Json]) -> None:
        """Know these and no others."""
        self._slices = {item["metadata"]["uid"]: item for item in items}

    def addresses(self, namespace: str, service: str) -> list[str] | None:
        """Ready endpoints of a Service; None if it has no EndpointSlice at all."""
        slices = [s for s in self._slices.values() if _belongs(s, namespace, service)]
        if not slices:
            return None
        endpoints = [e for s in slices for e in s.get("endpoints") or []]
        return [a for e in endpoints if e["conditions"].get("ready") for a in e["addresses"]]


def _belongs(item: Json, namespace: str, service: str) -> bool:
    metadata = item["metadata"]
    labels = metadata.get("labels", {})
    known_as = labels.get("kubernetes.io/service-name")
    return (metadata["namespace"], known_as) == (namespace, service)


class Responder(asyncio.DatagramProtocol):
    """Answers questions over UDP."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer one question."""
        assert self._transport
        self._transport.sendto(answer(data, self._directory), addr)


def answer(question: bytes, directory: Directory) -> bytes:
    """The response to a DNS query of one question (RFC 1035, section 4)."""
    name, kind, end = _parse(question)
    found = _lookup(name, directory)
    records = found if found and kind == _A else []
    random.shuffle(records)
    records = records[:_AT_MOST]
    code = _NO_SUCH_NAME if found is None else _NO_ERROR
    # Response, authoritative, recursion as desired and available.
    flags = 0x8480 | (question[2] << 8 & 0x0100) | code
    header = struct.pack("!2sHHHHH", question[:2], flags, 1, len(records), 0, 0)
    # Each record's name is a pointer to the question's, at offset 12.
    body = b"".join(
        struct.pack("!HHHIH", 0xC00C, _A, _IN, _TTL_S, 4) + socket.inet_aton(a) for a in records
    )
    return header + question[12:end] + body


def _parse(question: bytes) -> tuple[str, int, int]:
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii", "replace").lower())
        at += length + 1
    (kind,) = struct.unpack_from("!H", question, at + 1)
    return ".".join(labels), kind, at + 5


def _lookup(name: str, directory: Directory) -> list[str] | None:
    match name.removesuffix(f".svc.{resolving.DOMAIN}").split("."):
        case ["kubernetes", "default"] if name.endswith(resolving.DOMAIN):
            return [str(network.APISERVER)]
        case [service, namespace] if name.endswith(f".svc.{resolving.DOMAIN}"):
            return directory.addresses(namespace, service)
        case _:
            return None


async def serve(api: apiserver.Api) -> None:
    """Follow EndpointSlices and answer questions on the node's address, for ever."""
    directory = Directory()
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(
        lambda: Responder(directory), local_addr=(str(network.NODE), _PORT)
    )
    async for news in api.follow("/apis/discovery.k8s.io/v1/endpointslices"):
        match news:
            case apiserver.Listed(items):
                directory.replace(items)
            case apiserver.Changed(item, deleted=True):
                directory.remove(item)
            case apiserver.Changed(item):
                directory.put(item)
