"""Tensors of the Open Inference Protocol: checked shapes, JSON data, and the binary extension.

Binary: little-endian, row-major, no padding; an element of BYTES is a length of four bytes and the
bytes (https://kserve.github.io/website, "Binary Tensor Data Extension"). BF16 is Triton's addition:
the upper half of an FP32. The core is fed by fronts.
"""

import math
import struct
from dataclasses import dataclass

import numpy as np

from modelrollout.shadow import answers, jsontext, trouble

_NUMBERS = {
    "BOOL": np.dtype("?"),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BF16": np.dtype("<u2"),
}
DATATYPES = frozenset({*_NUMBERS, "BYTES"})
MOST_AXES = 8
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a tensor says of itself: its name for sentences, its datatype and its checked shape."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Elements; a tensor without axes has one."""
        return math.prod(self.shape)


def layout_of(tensor: dict[str, object], *, name: str) -> Layout:
    """The layout that an output object declares.

    Raises:
        UnreadableError: `SCHEMA` on an unknown datatype and on a shape that is no short list of
            whole numbers of at least 1.
    """
    datatype, shape = tensor.get("datatype"), tensor.get("shape")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise _schema(f"expected a datatype of the protocol in {name}, found another")
    if not isinstance(shape, list) or len(shape) > MOST_AXES:
        raise _schema(f"expected a shape of at most {MOST_AXES} axes in {name}, found another")
    if not all(type(axis) is int and axis >= 1 for axis in shape):
        raise _schema(f"expected whole numbers of at least 1 in the shape of {name}, found others")
    return Layout(name, datatype, tuple(shape))


def from_json(data: object, layout: Layout) -> list[object]:
    """One nested value per item of the first axis, from flat or nested JSON.

    Raises:
        UnreadableError: `SCHEMA` where the count or a type is not what the layout says.
    """
    flat = _flat(data, layout)
    expected = _json_type(layout.datatype)
    # A tensor has many values and few types: those are looked at one by one.
    for value in {type(value): value for value in flat}.values():
        if jsontext.kind(value) != expected:
            raise _schema(
                f"expected {layout.datatype} as {expected} in {layout.name}, "
                f"found {jsontext.kind(value)}"
            )
    return _shaped(flat, layout)


def _flat(data: object, layout: Layout) -> list[object]:
    here = data if isinstance(data, list) else [data]
    for _ in range(MOST_AXES):
        if not any(isinstance(value, list) for value in here):
            break
        here = [
            inner for outer in here for inner in (outer if isinstance(outer, list) else (outer,))
        ]
    if len(here) != layout.size:
        raise _schema(
            f"expected {layout.size} values by the shape of {layout.name}, found {len(here)}"
        )
    return here


def _json_type(datatype: str) -> str:
    match datatype:
        case "BYTES":
            return "string"
        case "BOOL":
            return "boolean"
        case _:
            return "number"


def from_bytes(data: bytes, layout: Layout) -> list[object]:
    """One nested value per item of the first axis, from the binary extension.

    Raises:
        UnreadableError: `SCHEMA` where the bytes are not as many as the layout says; `UTF8` where
            an element of BYTES is no text.
    """
    if layout.datatype == "BYTES":
        return _shaped(_strings(data, layout), layout)
    dtype = _NUMBERS[layout.datatype]
    if len(data) != layout.size * dtype.itemsize:
        raise _schema(
            f"expected {layout.size * dtype.itemsize} bytes by shape and datatype of "
            f"{layout.name}, found {len(data)}"
        )
    values = np.frombuffer(data, dtype=dtype)
    if layout.datatype == "BF16":
        values = (values.astype("<u4") << 16).view("<f4")
    return _shaped(values.tolist(), layout)


def _strings(data: bytes, layout: Layout) -> list[object]:
    found: list[object] = []
    at = 0
    while at < len(data):
        if at + _LENGTH.size > len(data):
            raise _schema(f"expected whole elements of BYTES in {layout.name}, found a cut one")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            raise _schema(f"expected whole elements of BYTES in {layout.name}, found a cut one")
        found.append(answers.as_text(data[at : at + length]))
        at += length
    if len(found) != layout.size:
        raise _schema(
            f"expected {layout.size} values by the shape of {layout.name}, found {len(found)}"
        )
    return found


def _shaped(flat: list[object], layout: Layout) -> list[object]:
    """Nested lists; a tensor without axes is one instance."""
    nested = flat
    for axis in reversed(layout.shape[1:]):
        nested = [nested[start : start + axis] for start in range(0, len(nested), axis)]
    return nested


def _schema(detail: str) -> trouble.UnreadableError:
    return trouble.UnreadableError(trouble.Trouble.SCHEMA, detail)
