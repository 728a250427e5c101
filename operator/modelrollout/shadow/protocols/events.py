"""Server-sent events of a complete stream (WHATWG HTML, "Parsing an event stream").

The core is fed by fronts, which pass the stream on chunk by chunk and hand over a copy at its end.
"""

import re
from collections.abc import Iterator

_LINE_END = re.compile("\r\n|\n|\r")  # str.splitlines would also split at U+2028 inside of JSON


def data_of(text: str) -> Iterator[str]:
    """The data of each complete event, its lines joined; other fields and comments are left out."""
    data: list[str] = []
    for line in _LINE_END.split(text):
        if not line:
            if data:
                yield "\n".join(data)
            data = []
            continue
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
