"""What a server answered, as bytes, and how its text is unpacked within bounds.

The core is fed by fronts: they hand over status, headers and a complete body. A body is the work of
a server under test, so everything about it is bounded before it is believed.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from modelrollout.shadow import trouble

_GZIP_ONLY = 16 + zlib.MAX_WBITS
_MOST_MEMBERS = 16
"""Of one gzip: each costs a copy of the rest, and servers write one."""
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete answer.

    Attributes:
        status: HTTP status.
        body: as it came, still encoded.
        content_type: the header's value, "" where there was none.
        content_encoding: the header's value, "" where there was none.
        json_bytes: the value of `Inference-Header-Content-Length`, "" where there was none.
    """

    status: int
    body: bytes
    content_type: str = ""
    content_encoding: str = ""
    json_bytes: str = ""

    @classmethod
    def of(cls, status: int, *, headers: Mapping[str, str], body: bytes) -> Self:
        """From headers in any case; of a name given twice the last counts."""
        lower = {name.lower(): value for name, value in headers.items()}
        return cls(
            status=status,
            body=body,
            content_type=lower.get("content-type", ""),
            content_encoding=lower.get("content-encoding", ""),
            json_bytes=lower.get("inference-header-content-length", ""),
        )

    @property
    def media_type(self) -> str:
        """Without parameters, in lower case."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def charset(self) -> str:
        """The parameter of the content type, in lower case; "" where it is not given."""
        for parameter in self.content_type.split(";")[1:]:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset":
                return value.strip().strip('"').lower()
        return ""


def refuse_failed(answer: Answer) -> None:
    """Let only successes through.

    Raises:
        UnreadableError: `ERROR` on any status but 2xx; a redirect is no prediction either.
    """
    if answer.status not in _SUCCESS:
        raise trouble.UnreadableError(
            trouble.Trouble.ERROR, f"expected a status of 200 to 299, found {answer.status}"
        )


def unpacked(answer: Answer, *, most_bytes: int) -> bytes:
    """The body without its content encoding, at most `most_bytes` long.

    Raises:
        UnreadableError: `TOO_LARGE` above the bound, packed or unpacked (unpacking stops there);
            `ENCODING` on an encoding other than gzip and on bytes that are no complete gzip.
    """
    _within(len(answer.body), most_bytes=most_bytes)
    match answer.content_encoding.strip().lower():
        case "" | "identity":
            return answer.body
        case "gzip" | "x-gzip":
            return _gunzipped(answer.body, most_bytes=most_bytes)
        case _:
            raise trouble.UnreadableError(
                trouble.Trouble.ENCODING,
                "expected no content encoding or gzip, found another; is `Accept-Encoding` "
                "passed on to the model?",
            )


def _gunzipped(packed: bytes, *, most_bytes: int) -> bytes:
    plain = b""
    for _ in range(_MOST_MEMBERS):
        if not packed:
            return plain
        unpacker = zlib.decompressobj(_GZIP_ONLY)
        try:
            plain += unpacker.decompress(packed, most_bytes + 1 - len(plain))
        except zlib.error as error:
            raise trouble.UnreadableError(
                trouble.Trouble.ENCODING, "expected gzip as the header says, found other bytes"
            ) from error
        _within(len(plain), most_bytes=most_bytes)
        if not unpacker.eof:
            raise trouble.UnreadableError(
                trouble.Trouble.ENCODING, "expected complete gzip, found its beginning alone"
            )
        packed = unpacker.unused_data
    if packed:
        raise trouble.UnreadableError(
            trouble.Trouble.ENCODING, f"expected at most {_MOST_MEMBERS} gzip members, found more"
        )
    return plain


def _within(size: int, *, most_bytes: int) -> None:
    if size > most_bytes:
        raise trouble.UnreadableError(
            trouble.Trouble.TOO_LARGE, f"expected at most {most_bytes} bytes, found more"
        )


def as_text(body: bytes, *, charset: str = "") -> str:
    """Strict UTF-8, a byte order mark left out.

    Raises:
        UnreadableError: `ENCODING` on another charset, `UTF8` on bytes that are none.
    """
    if charset not in ("", "utf-8", "utf8", "us-ascii", "ascii"):
        raise trouble.UnreadableError(
            trouble.Trouble.ENCODING, "expected the charset utf-8, found another declared"
        )
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise trouble.UnreadableError(
            trouble.Trouble.UTF8, f"expected UTF-8, found another byte at offset {error.start}"
        ) from error
