"""Answers as real servers write them, and what is wrong with those that are no prediction."""

import gzip
import json
import struct

import numpy as np
import pytest

from modelrollout.shadow import answers, paths, trouble
from modelrollout.shadow.protocols import kserve_v1, open_inference, openai, plain, reading

JSON = {"Content-Type": "application/json"}
V1 = kserve_v1.KServeV1()
V2 = open_inference.OpenInference()

# MLServer 1.7.1 with mlserver-sklearn, a classifier; KServe's own Python server; both as answered.
MLSERVER = (
    b'{"model_name":"cancer","model_version":"v1","id":"r1","parameters":{},"outputs":[{"name":'
    b'"predict","shape":[2,1],"datatype":"INT64","parameters":{"content_type":"np"},"data":[0,1]}]}'
)
KSERVE_V2 = (
    b'{"model_name":"cancer","model_version":null,"id":"r1","parameters":null,"outputs":[{"name":'
    b'"output-0","shape":[2],"datatype":"INT64","parameters":null,"data":[0,1]}]}'
)


def answer(body: bytes | object, *, status: int = 200, **headers: str) -> answers.Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answers.Answer.of(status, headers={**JSON, **named}, body=raw)


def kind_of(found: object) -> trouble.Trouble:
    assert isinstance(found, trouble.Problem), found
    return found.kind


def test_reads_the_predictions_of_kserve_v1() -> None:
    assert reading.instances_of(answer(b'{"predictions":[0,1]}'), V1) == (0, 1)


def test_reads_a_field_of_each_prediction_of_tensorflow_serving() -> None:
    rows = {"predictions": [{"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.8}]}
    at = kserve_v1.KServeV1(at=paths.Path.of("/label"))
    assert reading.instances_of(answer(rows), at) == ("cat", "dog")


@pytest.mark.parametrize(
    ("body", "expected"),
    [(MLSERVER, ([0], [1])), (KSERVE_V2, (0, 1))],
    ids=["mlserver", "kserve"],
)
def test_reads_the_rows_of_an_open_inference_answer(
    body: bytes, expected: tuple[object, ...]
) -> None:
    assert reading.instances_of(answer(body), V2) == expected


def test_reads_nested_data_as_flat_data() -> None:
    tensor = {"name": "p", "shape": [2, 2], "datatype": "FP32"}
    flat = {"outputs": [{**tensor, "data": [0.1, 0.9, 0.8, 0.2]}]}
    nested = {"outputs": [{**tensor, "data": [[0.1, 0.9], [0.8, 0.2]]}]}
    expected = ([0.1, 0.9], [0.8, 0.2])
    assert reading.instances_of(answer(flat), V2) == expected
    assert reading.instances_of(answer(nested), V2) == expected


def binary(*tensors: tuple[str, str, list[int], bytes]) -> answers.Answer:
    outputs = [
        {
            "name": name,
            "datatype": datatype,
            "shape": shape,
            "parameters": {"binary_data_size": len(data)},
        }
        for name, datatype, shape, data in tensors
    ]
    head = json.dumps({"model_name": "m", "outputs": outputs}).encode()
    tail = b"".join(data for *_, data in tensors)
    return answer(
        head + tail,
        Content_Type="application/octet-stream",
        Inference_Header_Content_Length=str(len(head)),
    )


@pytest.mark.parametrize(
    ("datatype", "data", "expected"),
    [
        ("FP32", np.array([1.5, -2.0], "<f4").tobytes(), (1.5, -2.0)),
        ("FP16", np.array([0.5, 2.0], "<f2").tobytes(), (0.5, 2.0)),
        ("INT64", np.array([-1, 2**40], "<i8").tobytes(), (-1, 2**40)),
        ("UINT8", bytes([7, 255]), (7, 255)),
        ("BOOL", bytes([1, 0]), (True, False)),
        # 1.0 as FP32 is 3f80 0000, -2.0 is c000 0000; BF16 keeps the upper half.
        ("BF16", bytes.fromhex("803f00c0"), (1.0, -2.0)),
        ("BYTES", struct.pack("<I3sI5s", 3, b"cat", 5, "höh!".encode()), ("cat", "höh!")),
    ],
    ids=["fp32", "fp16", "int64", "uint8", "bool", "bf16", "bytes"],
)
def test_reads_binary_tensors_of_each_datatype(
    datatype: str, data: bytes, expected: tuple[object, ...]
) -> None:
    found = reading.instances_of(binary(("out", datatype, [2], data)), V2)
    assert found == expected


def test_binary_tensors_follow_the_json_in_the_order_of_the_outputs() -> None:
    # The layout of the documentation's example: two outputs, one behind the other.
    both = binary(
        ("boxes", "FP32", [1, 4], np.array([0, 0, 2, 2], "<f4").tobytes()),
        ("labels", "BYTES", [1], struct.pack("<I3s", 3, b"car")),
    )
    wanted = open_inference.OpenInference(outputs=("labels", "boxes"))
    expected = ({"labels": "car", "boxes": [0.0, 0.0, 2.0, 2.0]},)
    assert reading.instances_of(both, wanted) == expected


@pytest.mark.parametrize(
    "broken",
    [
        binary(("out", "FP32", [2], b"123")),
        binary(("out", "BYTES", [1], struct.pack("<I", 10) + b"short")),
        binary(("out", "FP32", [3], bytes(8))),
        answer(MLSERVER, Inference_Header_Content_Length="9" * 30),
        answer(MLSERVER + b"left", Inference_Header_Content_Length=str(len(MLSERVER))),
        answer({"outputs": [{"name": "a", "shape": [-1], "datatype": "FP32", "data": []}]}),
        answer({"outputs": [{"name": "a", "shape": [10**9, 0], "datatype": "FP32", "data": []}]}),
        answer({"outputs": [{"name": "a", "shape": [1], "datatype": "FP32", "data": ["x"]}]}),
        answer({"outputs": [{"name": "a", "shape": [2], "datatype": "FP32", "data": [1.0]}]}),
        answer({"outputs": [{"name": "a", "shape": [1], "datatype": "FP99", "data": [1.0]}]}),
        answer({"predictions": [1]}),
    ],
    ids=[
        "not of whole elements", "cut string", "fewer bytes than the shape", "length beyond body",
        "bytes left over", "negative axis", "no elements", "text as number", "fewer values",
        "unknown datatype", "other protocol",
    ],
)  # fmt: skip
def test_tensors_that_are_not_as_they_say_break_the_schema(broken: answers.Answer) -> None:
    assert kind_of(reading.instances_of(broken, V2)) is trouble.Trouble.SCHEMA


def test_several_outputs_must_be_named() -> None:
    two = {
        "outputs": [
            {"name": name, "shape": [1], "datatype": "INT32", "data": [1]} for name in ("a", "b")
        ]
    }
    found = reading.instances_of(answer(two), V2)
    assert found == trouble.Problem(
        trouble.Trouble.SCHEMA, "expected one output, found 2; name those to compare"
    )
    assert reading.instances_of(answer(two), open_inference.OpenInference(("b",))) == (1,)


CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello there.", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
COMPLETION = {"choices": [{"index": 0, "text": "Hello there.", "finish_reason": "stop"}]}
TEXT = {"text": "Hello there.", "refusal": "", "finish_reason": "stop", "tool_calls": []}


def stream(*chunks: object, end: str = "data: [DONE]\n\n", line_end: str = "\n") -> answers.Answer:
    text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + end
    body = text.replace("\n", line_end).encode()
    return answer(body, Content_Type="text/event-stream; charset=utf-8")


def delta(content: str | None = None, finish: str | None = None, at: int = 0) -> object:
    part = {} if content is None else {"content": content}
    return {"choices": [{"index": at, "delta": part, "finish_reason": finish}]}


@pytest.mark.parametrize(
    "said",
    [
        answer(CHAT),
        answer(COMPLETION),
        stream(delta("Hello"), delta(" there."), delta(finish="stop")),
        stream(delta("Hello"), delta(" there."), delta(finish="stop"), line_end="\r\n"),
        stream(delta("Hello"), delta(" there.", "stop"), end=""),
        stream(delta("Hello there.", "stop"), {"choices": [], "usage": {}}),
        stream(delta("Hello there.", "stop"), {"choices": None, "usage": {"total_tokens": 3}}),
        answer(
            b": ping\n\nevent: m\ndata: "
            + json.dumps({"choices": [{"index": 0, "text": "Hello there."}]}).encode()
            + b'\n\ndata: {"choices": [{"index": 0, "text": "",\ndata:"finish_reason": "stop"}]}'
            + b"\n\ndata: [DONE]\n\n",
            Content_Type="text/event-stream",
        ),
    ],
    ids=[
        "chat", "completion", "chunks", "crlf", "without done", "usage", "usage without choices",
        "comments and several lines",
    ],
)  # fmt: skip
def test_one_text_however_it_is_served(said: answers.Answer) -> None:
    assert reading.instances_of(said, openai.OpenAI()) == (TEXT,)


def test_several_choices_are_several_instances_by_index() -> None:
    said = stream(delta("b", at=1), delta("a"), delta("c", "stop", at=1), delta(finish="length"))
    found = reading.instances_of(said, openai.OpenAI())
    assert isinstance(found, tuple)
    assert [choice["text"] for choice in found if isinstance(choice, dict)] == ["a", "bc"]


def test_tool_calls_are_put_together_without_their_ids() -> None:
    calls: list[object] = [
        {"index": 0, "id": "call_9", "function": {"name": "find", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a":'}},
        {"index": 0, "function": {"arguments": "1}"}},
    ]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in calls]
    found = reading.instances_of(stream(*chunks, delta(finish="tool_calls")), openai.OpenAI())
    assert isinstance(found, tuple)
    assert isinstance(found[0], dict)
    assert found[0]["tool_calls"] == [{"name": "find", "arguments": '{"a":1}'}]


def test_a_line_separator_inside_of_text_does_not_end_a_line() -> None:
    said = answer(
        'data: {"choices":[{"text":"a\N{LINE SEPARATOR}b","finish_reason":"stop"}]}\n\n'.encode(),
        Content_Type="text/event-stream",
    )
    found = reading.instances_of(said, openai.OpenAI())
    assert isinstance(found, tuple)
    assert isinstance(found[0], dict)
    assert found[0]["text"] == "a\N{LINE SEPARATOR}b"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (stream(delta("Hel"), end=""), trouble.Trouble.UNPARSEABLE),
        (stream({"error": {"message": "out of memory"}}, end=""), trouble.Trouble.ERROR),
        (stream(delta("Hel"), {"error": {"message": "x"}}), trouble.Trouble.ERROR),
        (answer({"error": {"message": "x", "type": "y"}}), trouble.Trouble.ERROR),
        (answer({"choices": []}), trouble.Trouble.SCHEMA),
        (answer({"choices": [{"message": {"content": [1]}}]}), trouble.Trouble.SCHEMA),
        (answer({"choices": [{"index": -1, "text": ""}]}), trouble.Trouble.SCHEMA),
        (answer({"choices": [{"index": 10**9, "text": ""}]}), trouble.Trouble.SCHEMA),
    ],
)
def test_streams_and_choices_in_trouble(said: answers.Answer, expected: trouble.Trouble) -> None:
    assert kind_of(reading.instances_of(said, openai.OpenAI())) is expected


def test_reads_plain_json_at_the_declared_places() -> None:
    said = answer({"items": [{"y": {"score": 1}}, {"y": {"score": 2}}], "error": "of one item"})
    protocol = plain.Plain(each=paths.Path.of("/items/[]"), at=paths.Path.of("/y/score"))
    assert reading.instances_of(said, protocol) == (1, 2)
    whole = plain.Plain(each=paths.Path.of("/items"), at=paths.Path.of("/[]/y/score"))
    assert reading.instances_of(said, whole) == ([1, 2],)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (answer(b"{"), trouble.Trouble.UNPARSEABLE),
        (answer(b"<html>"), trouble.Trouble.UNPARSEABLE),
        (answer(b""), trouble.Trouble.UNPARSEABLE),
        (answer(b"[" * 100_000), trouble.Trouble.UNPARSEABLE),
        (answer(b"[" * 80 + b"]" * 80), trouble.Trouble.UNPARSEABLE),
        (answer(b'{"predictions":[' + b"9" * 5_000 + b"]}"), trouble.Trouble.UNPARSEABLE),
        (answer({"predictions": 3}), trouble.Trouble.SCHEMA),
        (answer({"predictions": []}), trouble.Trouble.SCHEMA),
        (answer([1]), trouble.Trouble.SCHEMA),
        (answer({"error": "no such model"}), trouble.Trouble.ERROR),
        (answer({"predictions": [1]}, status=500), trouble.Trouble.ERROR),
        (answer({"predictions": [1]}, status=302), trouble.Trouble.ERROR),
        (answer(b'{"predictions":["\xff"]}'), trouble.Trouble.UTF8),
        (answer(b'{"predictions":["\\ud800"]}'), trouble.Trouble.UTF8),
        (answer(b"{}", Content_Encoding="br"), trouble.Trouble.ENCODING),
        (answer(b"{}", Content_Encoding="gzip"), trouble.Trouble.ENCODING),
        (answer(gzip.compress(b"{}")[:-4], Content_Encoding="gzip"), trouble.Trouble.ENCODING),
        (answer(b"{}", Content_Type="application/json; charset=utf-16"), trouble.Trouble.ENCODING),
        (answer(b" " * 2_000), trouble.Trouble.TOO_LARGE),
        (
            answer(gzip.compress(b" " * 10**6), Content_Encoding="gzip"),
            trouble.Trouble.TOO_LARGE,
        ),
        (answer({"predictions": [1] * 10_001}), trouble.Trouble.TOO_LARGE),
    ],
)
def test_each_trouble_has_its_class(said: answers.Answer, expected: trouble.Trouble) -> None:
    most = 1_000 if expected is trouble.Trouble.TOO_LARGE and len(said.body) < 30_000 else 10**6
    assert kind_of(reading.instances_of(said, V1, most_bytes=most)) is expected


@pytest.mark.parametrize("members", [1, 2, 16])
def test_gzip_is_unpacked_member_by_member(members: int) -> None:
    parts = [b'{"predictions":[5]', *(b" " for _ in range(members - 2)), b"}"]
    whole = parts if members > 1 else [b"".join(parts)]
    packed = b"".join(gzip.compress(part) for part in whole)
    assert reading.instances_of(answer(packed, Content_Encoding="gzip"), V1) == (5,)


def test_gzip_of_very_many_members_is_refused_before_it_costs_time() -> None:
    packed = gzip.compress(b"") * 100_000
    found = reading.instances_of(answer(packed, Content_Encoding="gzip"), V1)
    assert kind_of(found) is trouble.Trouble.ENCODING


def test_a_bound_is_inclusive_and_holds_for_unpacked_bytes() -> None:
    body = b'{"predictions":[5]}'
    packed = answer(gzip.compress(body), Content_Encoding="gzip")
    assert reading.instances_of(answer(body), V1, most_bytes=len(body)) == (5,)
    assert kind_of(reading.instances_of(answer(body), V1, most_bytes=len(body) - 1)) is (
        trouble.Trouble.TOO_LARGE
    )
    assert reading.instances_of(packed, V1, most_bytes=len(packed.body)) == (5,)


def test_problems_quote_nothing_of_the_answer() -> None:
    private = "4929-1111"
    for body in ({"predictions": {private: private}}, {private: private}, [private]):
        for protocol in (V1, V2, openai.OpenAI(), plain.Plain(each=paths.Path.of("/a/b"))):
            found = reading.instances_of(answer(body), protocol)
            assert isinstance(found, trouble.Problem)
            assert private not in found.detail
