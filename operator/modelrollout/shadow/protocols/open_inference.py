"""The Open Inference Protocol (KServe V2; MLServer, Triton, OpenVINO): JSON and binary tensors.

The first axis of an output is the batch. The core is fed by fronts.
"""

from dataclasses import dataclass, field

from modelrollout.shadow import answers, jsontext, paths, trouble
from modelrollout.shadow.protocols import instances, tensors


@dataclass(frozen=True, slots=True)
class OpenInference:
    """Which tensors hold the prediction.

    Attributes:
        outputs: names. None: the answer must have one output. Several: an instance is an object
            of their values by name (boxes, scores and classes of a detector).
        at: where in each instance the value lies.
    """

    outputs: tuple[str, ...] = ()
    at: paths.Path = field(default_factory=paths.Path)


def read(answer: answers.Answer, protocol: OpenInference, *, most_bytes: int) -> tuple[object, ...]:
    """One value per item of the first axis.

    Raises:
        UnreadableError: any class but `NAN` and those of fronts.
    """
    answers.refuse_failed(answer)
    body = answers.unpacked(answer, most_bytes=most_bytes)
    head, tail = _parted(body, answer.json_bytes)
    parsed = jsontext.parsed(answers.as_text(head, charset=answer.charset))
    document = instances.as_object(parsed, what="the answer")
    instances.refuse_error(document)
    named = _named(document.get("outputs"), tail)
    values = instances.bounded(_chosen(named, protocol.outputs), what="outputs")
    if not protocol.at.steps:
        return values
    return tuple(instances.one(value, at=protocol.at) for value in values)


def _parted(body: bytes, json_bytes: str) -> tuple[bytes, bytes]:
    if not json_bytes:
        return body, b""
    length = json_bytes.strip()
    if not (length.isascii() and length.isdecimal()) or len(length) > len(str(len(body))):
        raise _schema("expected a length of JSON within the body in its header, found another")
    if int(length) > len(body):
        raise _schema("expected a length of JSON within the body in its header, found a longer one")
    return body[: int(length)], body[int(length) :]


def _named(outputs: object, tail: bytes) -> dict[str, list[object]]:
    """Binary data lies behind the JSON in the order of the outputs that announce it."""
    if not isinstance(outputs, list):
        raise _schema(f"expected /outputs to be an array, found {jsontext.kind(outputs)}")
    named: dict[str, list[object]] = {}
    for number, output in enumerate(outputs):
        where = f"/outputs/{number}"
        tensor = instances.as_object(output, what=where)
        name = tensor.get("name")
        if not isinstance(name, str):
            raise _schema(f"expected {where}/name to be a string, found {jsontext.kind(name)}")
        layout = tensors.layout_of(tensor, name=where)
        size = _binary_size(tensor, where)
        if size is None:
            named[name] = tensors.from_json(tensor.get("data"), layout)
        else:
            if size > len(tail):
                raise _schema(f"expected {size} bytes for {where}, found {len(tail)}")
            named[name] = tensors.from_bytes(tail[:size], layout)
            tail = tail[size:]
    if tail:
        raise _schema("expected as many bytes as the outputs announce, found more")
    return named


def _binary_size(tensor: dict[str, object], where: str) -> int | None:
    parameters = tensor.get("parameters")
    if not isinstance(parameters, dict) or "binary_data_size" not in parameters:
        return None
    size = parameters["binary_data_size"]
    if type(size) is not int or size < 0:
        raise _schema(f"expected binary_data_size of {where} to be a size, found another value")
    return size


def _chosen(named: dict[str, list[object]], wanted: tuple[str, ...]) -> list[object]:
    names = wanted or tuple(named)
    if not wanted and len(names) != 1:
        raise _schema(f"expected one output, found {len(names)}; name those to compare")
    for name in names:
        if name not in named:
            raise _schema(f"expected an output {name}, found none of that name")
    if len(names) == 1:
        return named[names[0]]
    if len({len(named[name]) for name in names}) != 1:
        raise _schema("expected outputs of one batch size, found several")
    return [{name: named[name][row] for name in names} for row in range(len(named[names[0]]))]


def _schema(detail: str) -> trouble.UnreadableError:
    return trouble.UnreadableError(trouble.Trouble.SCHEMA, detail)
