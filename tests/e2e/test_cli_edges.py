"""The command line at its edges, on a real cluster: late targets, deletions, releases by files."""

import itertools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.cluster.handle import Cluster
from tests.e2e.fleet import Fleet, deployment, rollout
from tests.e2e.load import Load


@dataclass(frozen=True, slots=True)
class Answer:
    """What the command left behind."""

    code: int
    out: str
    err: str


COMMAND = (sys.executable, "-m", "modelrollout.cli")


def run(*arguments: str) -> Answer:
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=150, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def on(ml: Fleet, command: str, *options: str) -> Answer:
    return run(command, "fraud", "-n", ml.namespace, *options)


def test_a_pipeline_waits_for_a_promotion(ml: Fleet, cluster: Cluster) -> None:
    ml.serving()
    with Load(cluster.gateway_url, ml.host):
        # It waits before the target is there, as behind a GitOps controller.
        command = [*COMMAND, "wait", "fraud", "-n", ml.namespace, "--timeout", "2m"]
        with subprocess.Popen(
            [*command, "--for-target", "v2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as waiting:
            assert waiting.stderr is not None
            assert waiting.stderr.readline() == "fraud: waiting for v2: the target is v1\n"
            ml.release("v2")
            out, err = waiting.communicate(timeout=130)
    assert waiting.returncode == 0, err
    assert out.startswith("fraud: promoted: v2@")
    assert "step 1/2 at 20%" in err
    assert "step 2/2 at 50%" in err
    lines = err.splitlines()
    assert all(first != second for first, second in itertools.pairwise(lines))


def test_a_person_promotes_and_retries(ml: Fleet, cluster: Cluster) -> None:
    ml.serving(strategy={"canary": {"weights": [20, 50], "minDuration": "600s"}})
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        ml.phase("Stepping")
        on(ml, "abort")
        assert on(ml, "wait", "--timeout", "1m").code == 1
        assert on(ml, "retry", "--reason", "it was the weather").code == 0
        ml.phase("Stepping")
        assert on(ml, "promote", "--reason", "checked by hand").code == 0
        answer = on(ml, "wait", "--timeout", "1m")
    assert answer.code == 0, answer.err


def test_a_rollout_that_goes_while_it_is_waited_for_is_an_error(ml: Fleet) -> None:
    ml.serving()
    with subprocess.Popen(
        [*COMMAND, "wait", "fraud", "-n", ml.namespace, "--for-target", "v2"],
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        assert waiting.stderr is not None
        waiting.stderr.readline()
        ml.kubectl("delete", "mr", "fraud", "--wait=false")
        _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 4
    assert "fraud was deleted while it was waited for" in err


def test_a_release_by_files_is_promoted(ml: Fleet, cluster: Cluster, tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        text = yaml.safe_dump_all(deployment(name))
        (tmp_path / f"fraud-{name}.yaml").write_text(text, encoding="utf-8")
    text = yaml.safe_dump(rollout(ml.host, target="v1"))
    (tmp_path / "rollout.yaml").write_text(text, encoding="utf-8")
    ml.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(tmp_path))
    ml.ready()
    # v2 never served: it is the oldest that may go. Its pods run until somebody prunes them.
    answer = run("release", "--image", "python:next", "-f", str(tmp_path), "--write")
    assert answer.code == 0, answer.err
    ml.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(tmp_path))
    with Load(cluster.gateway_url, ml.host):
        answer = on(ml, "wait", "--timeout", "2m")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("fraud: promoted: v3@")
    assert [version["name"] for version in ml.get()["spec"]["versions"]] == ["v1", "v3"]
