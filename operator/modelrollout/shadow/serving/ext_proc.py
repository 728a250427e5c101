"""The router's front: Envoy's external processing in observability mode hands over both sides.

Envoy waits for nothing here and takes no answer: the stream is a copy. What a user got is the
primary, so stable is asked for nothing, and only the candidate sees a new request.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from modelrollout.shadow import answers, trouble
from modelrollout.shadow.serving import asking, comparing, overhearing, taking, tokens

_NAME = "envoy.service.ext_proc.v3.ExternalProcessor"
_END = grpc.aio.EOF
_AUTHORIZATION = "authorization"


class ExtProc:
    """Serves streams, one per sampled request; each ends as soon as both sides are here."""

    def __init__(
        self,
        door: taking.Door,
        comparer: comparing.Comparer,
        *,
        most_answer_bytes: int,
        overheard_s: float,
        token_file: Path | None,
    ) -> None:
        self._door, self._comparer = door, comparer
        self._most_answer_bytes, self._overheard_s = most_answer_bytes, overheard_s
        self._token = None if token_file is None else tokens.Token(token_file)
        self._server: Any = None

    async def start(self, host: str, port: int) -> int:
        """Listen; gives the port.

        Raises:
            OSError: when the port is taken.
        """
        # Imported where they are needed: the descriptors are in the observer's image alone.
        from envoy.service.ext_proc.v3 import external_processor_pb2

        handler = grpc.stream_stream_rpc_method_handler(
            self._process,
            request_deserializer=external_processor_pb2.ProcessingRequest.FromString,
            response_serializer=external_processor_pb2.ProcessingResponse.SerializeToString,
        )
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_NAME, {"Process": handler}),)
        )
        try:
            bound = int(self._server.add_insecure_port(f"{host}:{port}"))
        except RuntimeError as taken:
            raise OSError(f"expected a free port for extProc, found {port} taken") from taken
        await self._server.start()
        return bound

    async def stop(self) -> None:
        """Listens no more."""
        if self._server is not None:
            await self._server.stop(grace=0.5)

    async def _process(self, _: object, context: Any) -> None:
        if self._token is not None and not _shows(context, self._token):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "expected the bearer token")
        exchange = _Exchange(self._door, self._most_answer_bytes)
        try:
            async with asyncio.timeout(self._overheard_s):
                while (message := await context.read()) is not _END:
                    if exchange.hear(message):
                        break
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            exchange.give_up()
            raise
        copy = exchange.copy()
        if copy is not None:
            self._comparer.put(copy)


def _shows(context: Any, token: tokens.Token) -> bool:
    found = (value for name, value in context.invocation_metadata() or () if name == _AUTHORIZATION)
    return token.is_shown(next(found, ""))


class _Exchange:
    """What was heard of one request, from nothing to a copy."""

    def __init__(self, door: taking.Door, most_answer_bytes: int) -> None:
        self._door, self._most_answer_bytes = door, most_answer_bytes
        self._request, self._response = overhearing.Message(), overhearing.Message()
        self._taken: taking.Taken | None = None
        self._began_s = time.perf_counter()
        self._took_s: float | None = None
        self._too_large = False

    def hear(self, message: Any) -> bool:
        """One message; gives whether nothing more is needed."""
        match message.WhichOneof("request"):
            case "request_headers":
                return self._hear_request(message.request_headers)
            case "request_body":
                return self._hear_chunk(self._request, message.request_body)
            case "response_headers":
                heard = message.response_headers
                self._response.begin(_headers(heard.headers.headers), ended=heard.end_of_stream)
                return self._is_over()
            case "response_body":
                return self._hear_chunk(self._response, message.response_body)
            case _:
                return False

    def _hear_request(self, heard: Any) -> bool:
        request = self._request
        request.begin(_headers(heard.headers.headers), ended=heard.end_of_stream)
        self._taken = self._door.take(
            method=request.by_name.get(":method", ""),
            path=request.by_name.get(":path", ""),
            headers=request.by_name,
            size=request.announced,
        )
        return self._taken is None

    def _hear_chunk(self, side: overhearing.Message, heard: Any) -> bool:
        taken = self._taken
        if taken is None:
            return True
        size = len(heard.body)
        if side is self._response and side.size + size > self._most_answer_bytes:
            self._too_large = True
            return self._is_over()
        if side is self._request and side.size + size > self._door.rules.most_bytes:
            self._door.let_go(taken, taking.Drop.TOO_LARGE)
            return True
        if not taken.claim.grow(size):
            self._door.let_go(taken, taking.Drop.BYTES_FULL)
            return True
        side.grow(heard.body, ended=heard.end_of_stream)
        return self._is_over()

    def _is_over(self) -> bool:
        over = self._too_large or self._response.ended
        if over and self._took_s is None:
            self._took_s = time.perf_counter() - self._began_s
        # An answer may be here before the request is: a model need not read all of it.
        return over and self._request.ended

    def give_up(self) -> None:
        """Nothing more comes."""
        if self._taken is not None:
            self._door.let_go(self._taken, taking.Drop.CUT_OFF)

    def copy(self) -> comparing.Copy | None:
        """The whole exchange, or None: then it was let go and counted."""
        taken = self._taken
        if taken is None or taken.claim.released:
            return None
        if not self._request.is_complete or not (self._response.is_complete or self._too_large):
            self.give_up()
            return None
        path = self._request.by_name[":path"]
        primary = asking.Said(self._answer(), self._took_s)
        return comparing.Copy(taken, path, self._request.headers, self._request.body, primary)

    def _answer(self) -> answers.Answer | trouble.Problem:
        if self._too_large:
            return trouble.Problem(
                trouble.Trouble.TOO_LARGE, f"expected at most {self._most_answer_bytes} bytes"
            )
        status = self._response.by_name.get(":status", "")
        return answers.Answer.of(
            int(status) if status.isascii() and status.isdecimal() else 0,
            headers=self._response.by_name,
            body=self._response.body,
        )


def _headers(heard: Sequence[Any]) -> list[tuple[str, str]]:
    """Values come as bytes that need not be UTF-8."""
    return [
        (one.key, one.raw_value.decode("latin-1") if one.raw_value else one.value) for one in heard
    ]
