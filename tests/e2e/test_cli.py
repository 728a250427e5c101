"""The command line on a real cluster: what a pipeline and a person do with it."""

import os
import subprocess
import sys

import pytest

from tests.cluster.handle import Cluster
from tests.e2e.fleet import Fleet
from tests.e2e.load import Load


def command(ml: Fleet, *words: str) -> "subprocess.Popen[str]":
    """`modelrollout WORDS` in the namespace of the test."""
    return subprocess.Popen(
        [sys.executable, "-m", "modelrollout.cli", *words, "-n", ml.namespace],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )


def said(ml: Fleet, *words: str) -> str:
    process = command(ml, *words)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


@pytest.mark.parametrize(
    ("errors", "status", "told"), [(0.0, 0, "v2"), (0.4, 1, "errors")], ids=["promoted", "back"]
)
def test_a_pipeline_waits_for_the_outcome(
    ml: Fleet, cluster: Cluster, errors: float, status: int, told: str
) -> None:
    ml.serving()
    ml.behave("v2", errors=errors)
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        waiting = command(ml, "wait", "fraud", "--timeout", "90s")
        out, err = waiting.communicate(timeout=120)

    assert waiting.returncode == status, err
    assert told in out
    assert "Traceback" not in err


def test_waiting_ends_in_time_and_an_absent_rollout_is_named(ml: Fleet) -> None:
    ml.serving(strategy={"steps": [{"weight": 20}, {"pause": {}}, {"weight": 50}]})
    ml.release("v2")
    waiting = command(ml, "wait", "fraud", "--timeout", "3s")
    waiting.communicate(timeout=60)
    assert waiting.returncode == 3
    absent = command(ml, "wait", "nothing", "--timeout", "3s")
    _, err = absent.communicate(timeout=60)
    assert absent.returncode == 4
    assert "nothing" in err


def test_a_person_approves_pauses_and_looks(ml: Fleet, cluster: Cluster) -> None:
    steps = [{"weight": 20, "minDuration": "4s"}, {"pause": {}}, {"weight": 50}]
    ml.serving(strategy={"steps": steps})
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        ml.phase("Waiting")
        assert "20%" in said(ml, "status", "fraud")
        said(ml, "approve", "fraud")
        ml.until(lambda s: s.get("weight") == "50%")
        said(ml, "pause", "fraud")
        ml.until(lambda s: bool(s.get("paused")))
        said(ml, "abort", "fraud")
        ml.phase("RolledBack")
