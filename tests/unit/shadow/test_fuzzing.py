"""Whatever a candidate answers: a prediction or a class of trouble, and never anything raised."""

import gzip
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelrollout.shadow import answers, comparison, increments, paths, reading, settling, trouble
from modelrollout.shadow.protocols import kserve_v1, open_inference, openai, plain
from modelrollout.shadow.protocols import reading as protocols
from modelrollout.shadow.tasks import (
    classification,
    detection,
    differing,
    embeddings,
    probabilities,
    ranking,
    regression,
    structured,
    text,
)

PROTOCOLS: list[protocols.Protocol] = [
    kserve_v1.KServeV1(),
    open_inference.OpenInference(),
    openai.OpenAI(),
    plain.Plain(each=paths.Path.of("/[]")),
]
PROBES = embeddings.Probes(np.eye(2), np.eye(2))
TASKS: dict[str, comparison.Task[Any]] = {
    "classification": classification.Classification(labels=("a", "b")),
    "threshold": classification.Classification(threshold=0.5),
    "probabilities": probabilities.Probabilities(),
    "regression": regression.Regression(lowest=0.0, highest=1.0),
    "ranking": ranking.Ranking(),
    "detection": detection.Detection(),
    "text": text.Text(expect_json=True, tolerance=0.1),
    "structured": structured.Structured(
        fields=(paths.Path.of("/*"),),
        unordered=(differing.Unordered(paths.Path(), paths.Path()),),
    ),
    "structured in text": structured.Structured(in_text=True),
    "embeddings": embeddings.Embeddings(probes=PROBES, neighbours=1),
}

NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**101), 5e-324, 1e100])
WORDS = st.sampled_from(
    ["label", "score", "box", "boxes", "labels", "scores", "item", "text", "a", "b", "{}", "\ud800"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=15,
)
CORNERS = st.lists(st.floats(-1e100, 1e100), min_size=4, max_size=4).map(sorted)
BOXES = st.lists(
    st.fixed_dictionaries({"box": CORNERS, "label": WORDS, "score": NUMBERS}), max_size=4
)
ITEMS = st.lists(
    st.fixed_dictionaries({"item": WORDS, "score": st.floats(-1e100, 1e100)}),
    unique_by=lambda row: str(row["item"]),
    max_size=5,
)
FINITE = st.floats(-1e100, 1e100)
SHARES = st.floats(0, 1) | st.floats(0, 1e-300)
TEXTS = st.text(max_size=20) | st.fixed_dictionaries({"text": st.text(max_size=20)})
LIKELY: dict[str, st.SearchStrategy[object]] = {
    "classification": WORDS | st.integers() | st.lists(FINITE, min_size=2, max_size=2),
    "threshold": FINITE,
    "probabilities": st.lists(SHARES, min_size=2, max_size=2) | SHARES,
    "regression": FINITE,
    "ranking": st.lists(st.text(max_size=2), max_size=6, unique=True) | ITEMS,
    "detection": BOXES,
    "text": TEXTS,
    "structured": VALUES,
    "structured in text": VALUES.map(json.dumps),
    "embeddings": st.lists(FINITE, min_size=2, max_size=2),
}
TENSORS = st.fixed_dictionaries(
    {
        "name": WORDS,
        "shape": st.sampled_from([[1], [2], [2, 1], []]) | st.lists(st.integers(-1, 4) | NUMBERS),
        "datatype": st.sampled_from(["FP32", "BYTES", "BOOL", "INT8", "BF16", "X"]),
        "data": st.lists(NUMBERS | WORDS | st.booleans(), max_size=3) | VALUES,
        "parameters": st.none()
        | st.fixed_dictionaries({"binary_data_size": st.integers(-1, 20) | VALUES}),
    }
)
CHOICES = st.fixed_dictionaries(
    {
        "index": st.integers(-1, 3) | VALUES,
        "message": st.fixed_dictionaries({"content": st.text() | VALUES, "tool_calls": VALUES})
        | VALUES,
        "finish_reason": VALUES,
    }
)
GOOD_TENSOR = st.integers(1, 3).flatmap(
    lambda size: st.fixed_dictionaries(
        {
            "name": WORDS,
            "shape": st.sampled_from([[size], [size, 1], [1, size]]),
            "datatype": st.just("FP64"),
            "data": st.lists(FINITE, min_size=size, max_size=size),
            "parameters": st.none() | VALUES,
        }
    )
)
GOOD_CHOICE = st.fixed_dictionaries(
    {"index": st.integers(0, 3), "finish_reason": st.just("stop")},
    optional={"text": st.text(), "delta": st.fixed_dictionaries({"content": st.text()})},
)
DOCUMENTS: dict[str, st.SearchStrategy[object]] = {
    "KServeV1": st.fixed_dictionaries({"predictions": VALUES | st.lists(VALUES)}),
    "OpenInference": st.fixed_dictionaries({"outputs": st.lists(TENSORS, max_size=2)})
    | st.fixed_dictionaries({"outputs": st.lists(GOOD_TENSOR, min_size=1, max_size=1)}),
    "OpenAI": st.fixed_dictionaries({"choices": st.lists(CHOICES, max_size=2)})
    | st.fixed_dictionaries({"choices": st.lists(GOOD_CHOICE, min_size=1, max_size=2)}),
    "Plain": st.lists(VALUES),
}
STREAM = "text/event-stream"


def answers_of(documents: st.SearchStrategy[object]) -> st.SearchStrategy[answers.Answer]:
    """Mostly what the protocol asks for; then one thing wrong, or all of it."""
    said = documents | VALUES
    plain_bodies = said.map(lambda value: answers.Answer(200, json.dumps(value).encode()))
    packed = plain_bodies.map(
        lambda one: answers.Answer(200, gzip.compress(one.body), content_encoding="gzip")
    )
    streams = st.lists(said, max_size=3).map(
        lambda values: answers.Answer(
            200,
            b"".join(b"data: %s\n\n" % json.dumps(value).encode() for value in values)
            + b"data: [DONE]\n\n",
            content_type=STREAM,
        )
    )
    tails = st.binary(max_size=20)
    binary = st.builds(
        lambda one, tail: answers.Answer(200, one.body + tail, json_bytes=str(len(one.body))),
        plain_bodies,
        tails,
    )
    anything = st.builds(
        answers.Answer,
        status=st.sampled_from([200, 204, 500, 0, -1]),
        body=st.binary(max_size=60),
        content_type=st.sampled_from(["", STREAM, "x; charset=latin1"]) | st.text(max_size=8),
        content_encoding=st.sampled_from(["", "gzip", "br"]) | st.text(max_size=4),
        json_bytes=st.sampled_from(["", "0", "5", "60", "-1", "\u0665"]) | st.text(max_size=4),
    )
    return plain_bodies | packed | streams | binary | anything


MANY = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: type(one).__name__)
@MANY
@given(data=st.data(), most_bytes=st.sampled_from([10_000, 10_000, 20]))
def test_any_answer_is_read_or_classed(
    protocol: protocols.Protocol, data: st.DataObject, most_bytes: int
) -> None:
    said = data.draw(answers_of(DOCUMENTS[type(protocol).__name__]))
    found = protocols.instances_of(said, protocol, most_bytes=most_bytes)
    assert isinstance(found, trouble.Problem) or len(found) >= 1


@pytest.mark.parametrize("name", TASKS)
@MANY
@given(data=st.data(), same=st.booleans())
def test_any_pair_of_values_is_compared_or_classed(
    name: str, data: st.DataObject, *, same: bool
) -> None:
    task, values = TASKS[name], LIKELY[name] | LIKELY[name] | VALUES
    ours = data.draw(values)
    theirs = ours if same else data.draw(values)
    primary, other = _read(task, ours), _read(task, theirs)
    settled = settling.settle(task, primary=primary, other=other)
    assert settled.counted
    for step in settled.counted:
        value = step.amount if isinstance(step, increments.Count) else step.value
        assert 0.0 <= value < float("inf")
        assert len(step.labels) == len(increments.LABELS[step.metric])
    for row in settled.rows:
        assert row is None or 0.0 <= row.distance < float("inf")
        assert row is None or not same or row.verdict is increments.Verdict.MATCH


def _read(task: comparison.Task[Any], value: object) -> reading.Read[Any]:
    body = json.dumps([value]).encode()
    protocol = plain.Plain(each=paths.Path.of("/[]"))
    return reading.predictions(answers.Answer(200, body), protocol=protocol, task=task)
