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
CORNERS = st.lists(NUMBERS, min_size=4, max_size=4)
LIKELY = (
    VALUES
    | st.lists(NUMBERS, min_size=1, max_size=4)
    | st.lists(
        st.fixed_dictionaries({"box": CORNERS, "label": WORDS, "score": NUMBERS}), max_size=3
    )
    | st.lists(st.fixed_dictionaries({"item": WORDS, "score": NUMBERS}), max_size=4)
)
TENSORS = st.fixed_dictionaries(
    {
        "name": WORDS,
        "shape": st.lists(st.integers(-1, 4) | NUMBERS, max_size=4),
        "datatype": st.sampled_from(["FP32", "BYTES", "BOOL", "INT8", "BF16", "X"]),
        "data": VALUES,
        "parameters": st.none()
        | st.fixed_dictionaries({"binary_data_size": st.integers(-1, 20) | VALUES}),
    }
)
CHOICES = st.fixed_dictionaries(
    {
        "index": st.integers(-1, 3) | VALUES,
        "message": st.fixed_dictionaries({"content": VALUES, "tool_calls": VALUES}) | VALUES,
        "finish_reason": VALUES,
    }
)
DOCUMENTS = (
    VALUES
    | st.fixed_dictionaries({"predictions": VALUES})
    | st.fixed_dictionaries({"outputs": st.lists(TENSORS, max_size=2)})
    | st.fixed_dictionaries({"choices": st.lists(CHOICES, max_size=2)})
)
BODIES = (
    st.binary(max_size=60)
    | DOCUMENTS.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60).map(gzip.compress)
    | DOCUMENTS.map(lambda value: gzip.compress(json.dumps(value).encode()))
    | DOCUMENTS.map(lambda value: f"data: {json.dumps(value)}\n\ndata: [DONE]\n\n".encode())
)
ANSWERS = st.builds(
    answers.Answer,
    status=st.sampled_from([200, 200, 200, 204, 500, 0, -1]),
    body=BODIES,
    content_type=st.sampled_from(["", "application/json", "text/event-stream", "x; charset=latin1"])
    | st.text(max_size=8),
    content_encoding=st.sampled_from(["", "gzip", "br"]) | st.text(max_size=4),
    json_bytes=st.sampled_from(["", "0", "5", "60", "-1", "\u0665"]) | st.text(max_size=4),
)
MANY = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: type(one).__name__)
@MANY
@given(said=ANSWERS, most_bytes=st.integers(1, 300))
def test_any_answer_is_read_or_classed(
    protocol: protocols.Protocol, said: answers.Answer, most_bytes: int
) -> None:
    found = protocols.instances_of(said, protocol, most_bytes=most_bytes)
    assert isinstance(found, trouble.Problem) or len(found) >= 1


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@MANY
@given(ours=LIKELY, theirs=LIKELY, same=st.booleans())
def test_any_pair_of_values_is_compared_or_classed(
    task: comparison.Task[Any], ours: object, theirs: object, *, same: bool
) -> None:
    primary, other = (_read(task, value) for value in (ours, ours if same else theirs))
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
