"""The four acts of the demo over 200 draws of its users: nothing is tuned to one run.

The resource is the demo's own manifest, the models' error rates are measured on the images that
the demo's users send, and the decision is the operator's own; only time and requests are virtual.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import yaml

from examples.demo import acts, stage, training
from examples.demo.acts import ACTS, Act
from modelrollout.api.spec import ErrorRate, ModelRolloutSpec
from modelrollout.tour import virtual
from modelrollout.tour.virtual import Nature

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

DRAWS = 200
CRASHES_AFTER = 32
"""Requests that a pod of v4 survives: 8 MB each, of the 256 MB it is given."""


@pytest.fixture(scope="module")
def spec() -> ModelRolloutSpec:
    text = (stage.MANIFESTS / "rollout.yaml").read_text(encoding="utf-8")
    return ModelRolloutSpec.model_validate(yaml.safe_load(text)["spec"])


@pytest.fixture(scope="module")
def nature() -> Nature:
    wrong = {v: training.wrong_share(training.train(v)) for v in training.RECIPES}
    return Nature(
        acts.RATE,
        {version: {"quality": share} for version, share in wrong.items()},
        crash_after={"v4": CRASHES_AFTER},
        scrape_interval_s=2.0,
    )


@pytest.fixture(scope="module")
def outcomes(spec: ModelRolloutSpec, nature: Nature) -> Mapping[str, Counter[str]]:
    """How often each act ended how, by its target."""
    counted: dict[str, Counter[str]] = {act.target: Counter() for act in ACTS}
    for seed in range(DRAWS):
        world = virtual.World(spec, nature, random=np.random.default_rng(seed))
        world.settle()
        for act, outcome in played(world):
            counted[act.target][outcome] += 1
    return counted


def played(world: virtual.World) -> Iterator[tuple[Act, str]]:
    """All acts one after the other in one world."""
    for act in ACTS:
        last = list(world.retarget(act.target, within_s=acts.LONGEST_S))[-1]
        ended = acts.ended(act, last.status, since=0.0)
        yield act, ended.outcome if ended else acts.Outcome.UNDECIDED


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.target)
def test_no_act_fails_more_often_than_stated(
    act: Act, outcomes: Mapping[str, Counter[str]]
) -> None:
    stated = ErrorRate().false_rollback if act.healthy else ErrorRate().false_promotion
    failed = DRAWS - outcomes[act.target][act.expected]
    assert failed <= stated * DRAWS, outcomes[act.target]
