"""A model server and users that cost as little as Python can: what is measured is what is between.

The server runs as a process of its own: `python -m tests.shadow.fast PORT [DELAY_MS]`. Only what
these exchanges need of HTTP/1.1 is spoken: every message has a length.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import cast

ANSWER = json.dumps(
    {
        "model_name": "fraud",
        "outputs": [
            {"name": "label", "shape": [4], "datatype": "INT64", "data": [1, 0, 0, 1]},
        ],
    }
).encode()
_HEAD = (
    f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
)
_END = b"\r\n\r\n"


class _Server(asyncio.Protocol):
    """Answers every request with the same bytes, after a while if so asked."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by isinstance: the transports of uvloop have no part in asyncio's classes.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (rest := _after_message(self._buffer)) is not None:
            self._buffer = rest
            if self._delay_s:
                asyncio.get_running_loop().call_later(self._delay_s, self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        if self._transport is not None:
            self._transport.write(_HEAD.encode() + ANSWER)


def _after_message(buffer: bytes) -> bytes | None:
    """What follows the first whole message; None until it is there."""
    at = buffer.find(_END)
    if at < 0:
        return None
    end = at + len(_END) + _length(buffer[:at])
    return buffer[end:] if len(buffer) >= end else None


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


@dataclass(slots=True)
class Result:
    """What users met.

    Attributes:
        latencies_s: of all answers.
        failed: answers of another status, and connections that broke.
        took_s: all of it.
    """

    latencies_s: list[float] = field(default_factory=list)
    failed: int = 0
    took_s: float = 0.0

    def quantile_ms(self, share: float) -> float:
        """In milliseconds."""
        ranked = sorted(self.latencies_s)
        return 1000.0 * ranked[min(len(ranked) - 1, int(share * len(ranked)))]


class Users:
    """Keep-alive connections to one port.

    Args:
        port: of loopback.
        path: that all ask for.
        body: of all requests.
        expected: how the status line of a good answer begins.
    """

    def __init__(self, port: int, *, path: str, body: bytes, expected: bytes) -> None:
        self._port, self._expected = port, expected
        self._body = body
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-Id: "
        )
        self._asked = 0

    async def run(self, *, connections: int, for_s: float, rate: float = 0.0) -> Result:
        """Ask for a while.

        Args:
            connections: each asks again once it has its answer.
            for_s: how long.
            rate: requests a second of all together; 0 for as many as can be. A late answer
                counts from when its request was due.
        """
        result = Result()
        began = time.perf_counter()
        every_s = connections / rate if rate else 0.0
        await asyncio.gather(
            *(
                self._one(
                    result,
                    first_s=began + every_s * n / connections,
                    every_s=every_s,
                    until_s=began + for_s,
                )
                for n in range(connections)
            )
        )
        result.took_s = time.perf_counter() - began
        return result

    async def _one(self, result: Result, *, first_s: float, every_s: float, until_s: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        due = first_s
        while (now := time.perf_counter()) < until_s:
            if every_s:
                await asyncio.sleep(max(0.0, due - now))
            began = due if every_s else now
            self._asked += 1
            writer.write(f"{self._head}{id(self)}-{self._asked}\r\n\r\n".encode() + self._body)
            try:
                good = await self._answered(reader)
            except (OSError, asyncio.IncompleteReadError):
                result.failed += 1
                break
            result.failed += not good
            result.latencies_s.append(time.perf_counter() - began)
            due += every_s
        writer.close()

    async def _answered(self, reader: asyncio.StreamReader) -> bool:
        head = await reader.readuntil(_END)
        if length := _length(head):
            await reader.readexactly(length)
        return head.startswith(self._expected)


async def serve(port: int, *, delay_s: float) -> None:
    """For ever."""
    server = await asyncio.get_running_loop().create_server(
        lambda: _Server(delay_s), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    delay_ms = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    uvloop.run(serve(int(sys.argv[1]), delay_s=delay_ms / 1000.0))
