"""What a front does with one request, from its headers to the evidence, without a socket."""

import json
import random

import pytest

from modelrollout.analysis import paired
from modelrollout.shadow import (
    answers,
    eligibility,
    increments,
    noise,
    reading,
    sampling,
    settling,
    tallying,
)
from modelrollout.shadow.protocols import open_inference
from modelrollout.shadow.tasks import classification

Metric = increments.Metric
TASK = classification.Classification(labels=("0", "1"))
PROTOCOL = open_inference.OpenInference(outputs=("predict",))


def answered(label: int) -> reading.Read[classification.Label]:
    tensor = {"name": "predict", "shape": [1, 1], "datatype": "INT64", "data": [label]}
    body = json.dumps({"model_name": "m", "outputs": [tensor]}).encode()
    return reading.predictions(answers.Answer(200, body), protocol=PROTOCOL, task=TASK)


@pytest.mark.parametrize(("worse", "alarmed"), [(0.0, False), (0.05, True)], ids=["A/A", "worse"])
def test_excess_above_the_noise_is_found_and_noise_alone_is_not(
    worse: float, *, alarmed: bool
) -> None:
    chance = random.Random(4)
    sample = sampling.Sampling(salt="r", millionths=500_000, control_millionths=1_000_000)
    rules = eligibility.Rules(sampling=sample)
    tally, shadowed = tallying.Tally(), 0
    for number in range(4_000):
        request = eligibility.Request(
            "POST", "/v2/models/m/infer", "application/json", 90, unit=f"r{number}"
        )
        if rules.judge(request) is not eligibility.Eligibility.ELIGIBLE:
            continue
        shadowed += 1
        truth = number % 2
        flips = [chance.random() < 0.1, chance.random() < 0.1 + worse]
        primary, control, candidate = answered(truth), *(answered(truth ^ flip) for flip in flips)
        against = settling.settle(TASK, primary=primary, other=candidate)
        floor = settling.settle(TASK, primary=primary, other=control)
        tally += tallying.Tally.of((*against.counted, *noise.excess(against, floor)))
    found = noise.Excess(
        **{sign.value: int(tally.count(Metric.EXCESS, sign)) for sign in noise.Sign}
    )
    assert found.pairs == tally.count(Metric.REQUESTS, "both_ok") == shadowed
    evidence = paired.log_e_worse(paired.noise_cancelled(**found.disagreements()))
    assert (evidence > 3.0) is alarmed
