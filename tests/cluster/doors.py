"""Lets the outer machine reach a few services of the cluster, on its loopback only.

A listening socket belongs to the network namespace it was made in: one that is opened before the
private namespace begins goes on serving the machine outside, and what it accepts is carried inside.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A service inside, by an address that may be a name."""

    host: str
    port: int


def open_outside(names: tuple[str, ...]) -> dict[str, socket.socket]:
    """Listening sockets on free ports of 127.0.0.1, for `serve` to use inside."""
    return {name: socket.create_server(("127.0.0.1", 0)) for name in names}


async def serve(doors: Mapping[str, int], targets: Mapping[str, Target]) -> dict[str, int]:
    """Carry every connection of each door to its target; gives the outer ports by name."""
    ports = {}
    for name, descriptor in doors.items():
        door = socket.socket(fileno=descriptor)
        await asyncio.start_server(_carrying(targets[name]), sock=door)
        ports[name] = int(door.getsockname()[1])
    return ports


def _carrying(
    target: Target,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            answers, requests = await asyncio.open_connection(target.host, target.port)
            await asyncio.gather(_pump(reader, requests), _pump(answers, writer))
            requests.close()
        writer.close()

    return carry


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()
