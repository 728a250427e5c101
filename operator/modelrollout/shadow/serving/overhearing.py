"""One exchange as a tee tells it, piece by piece: the user's request, then the user's answer.

Pure: no gRPC here. Trailers are not sent, so an answer that ends without its last piece is complete
only where its length was announced.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

Headers = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Message:
    """A request or a response while it comes in.

    Attributes:
        headers: as they came, with the pseudo headers of HTTP/2.
        by_name: the same, in lower case; of a name given twice the last counts.
        chunks: of the body.
        size: of the chunks.
        ended: whether the last piece is here.
    """

    headers: Headers = ()
    by_name: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    ended: bool = False

    def begin(self, headers: Headers, *, ended: bool) -> None:
        """The headers are here."""
        self.headers, self.ended = headers, ended
        self.by_name = {name.lower(): value for name, value in headers}

    def grow(self, chunk: bytes, *, ended: bool) -> None:
        """One more piece of the body."""
        if chunk:
            self.chunks.append(chunk)
            self.size += len(chunk)
        # Where the length was announced, the empty last piece says nothing new.
        self.ended = ended or self.announced == self.size

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, as far as can be known."""
        return bool(self.headers) and (self.ended or self.announced == self.size)

    @property
    def announced(self) -> int | None:
        """The length that its headers promise."""
        length = self.by_name.get("content-length", "")
        return int(length) if length.isascii() and length.isdecimal() else None

    @property
    def body(self) -> bytes:
        """All pieces as one."""
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)
