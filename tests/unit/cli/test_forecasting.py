"""`plan`: from a file alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli import conftest

ROLLOUT = """
apiVersion: modelrollout.dev/v1alpha1
kind: ModelRollout
metadata: {name: fraud}
spec:
  versions:
    - {name: v1, service: {name: fraud-v1, port: 8080}}
    - {name: v2, service: {name: fraud-v2, port: 8080}}
  target: v2
  traffic: {gatewayAPI: {parentRefs: [{name: public}]}}
  strategy:
    steps: [{weight: 5, minDuration: 5m}, {pause: {}}, {weight: 50, minDuration: 10m}]
  bake: {duration: 30m}
  analysis:
    metrics:
      - name: errors
        rate: {events: errors_total, total: requests_total}
      - name: rating
        mean: {sum: rating_sum, count: rating_count}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rollout.yaml"
    path.write_text(ROLLOUT, encoding="utf-8")
    return path


def test_says_the_steps_and_their_least_time(run: conftest.Run, file: Path) -> None:
    answer = run("plan", "-f", str(file))
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[:6] == [
        "to v2 in 3 steps:",
        "  1. weight 5% for 5m",
        "  2. pause until approved",
        "  3. weight 50% for 10m",
        "  4. bake for 30m",
        "at least 15m until the promotion, and 1 approval",
    ]
    assert "give --rps" in answer.out


def test_says_how_long_the_evidence_takes(run: conftest.Run, file: Path) -> None:
    answer = run(
        *("plan", "-f", str(file), "--rps", "40", "--stable-rate", "errors=0.004"),
        *("--stable-mean", "4.1", "--stable-sd", "0.9"),
    )
    lines = answer.out.splitlines()
    assert any(line.startswith("errors: about ") and "at 40 requests/s" in line for line in lines)
    assert any(line.startswith("rating: about ") for line in lines)


def test_says_what_each_step_would_see(run: conftest.Run, file: Path) -> None:
    answer = run("plan", "-f", str(file), "--rps", "40", "--stable-rate", "errors=0.004")
    lines = answer.out.splitlines()
    table = lines[lines.index("errors, 0.40 % on stable:") + 1 :][:4]
    assert table[0].split("  ")[-1] == "seen with 80 % by its end"
    assert table[1].split()[:3] == ["5%", "5m", "600"]
    assert table[2].split()[:3] == ["50%", "10m", "12,000"]
    assert table[3].endswith("(if held until the deadline)")
    early, late = (float(line.split("worse by ")[1].split()[0]) for line in table[1:3])
    assert early > late > 0
    assert "promoted within 1d if healthy: 100 % of rollouts" in answer.out
    assert "requests meet it" in answer.out
    assert "warning" not in answer.out


def test_a_risk_limited_ramp_is_as_long_as_the_traffic_makes_it(
    run: conftest.Run, file: Path
) -> None:
    written = "steps: [{weight: 5, minDuration: 5m}, {pause: {}}, {weight: 50, minDuration: 10m}]"
    ramp = 'canary: {weights: [5, 50], ramp: {riskBudget: "0.1%"}}'
    file.write_text(ROLLOUT.replace(written, ramp), encoding="utf-8")
    lengths = []
    for rps in ("20", "2000"):
        given = ("--rps", rps, "--stable-rate", "errors=0.004", "-o", "json")
        found = json.loads(run("plan", "-f", str(file), *given).out)
        lengths.append(found["weights"][0]["seconds"])
    assert lengths[1] <= 180
    assert lengths[0] > 10 * lengths[1]


def test_warns_when_the_question_cannot_be_answered(run: conftest.Run, file: Path) -> None:
    answer = run("plan", "-f", str(file), "--rps", "0.01", "--stable-rate", "errors=0.004")
    assert answer.code == 0
    assert "warning: the question cannot be answered in the 1d given" in answer.out


def test_simulated_figures_stand_beside_the_formulas(run: conftest.Run, file: Path) -> None:
    short = ROLLOUT.replace("  target: v2\n", "  target: v2\n  deadline: 30m\n")
    coarse = short.replace("analysis:\n", "analysis:\n    interval: 2m\n")
    file.write_text(coarse, encoding="utf-8")
    given = ("--rps", "40", "--stable-rate", "errors=0.004", "--simulate", "-o", "json")
    found = json.loads(run("plan", "-f", str(file), *given).out)
    errors = found["metrics"]["errors"]
    tried = errors["simulated"]
    assert tried["worseBy"] == errors["smallestSeenByStep"][-1]
    assert tried["harmful"]["caughtByStep"][-1] == pytest.approx(0.8, abs=0.15)
    assert tried["healthy"]["promoted"] == pytest.approx(
        errors["healthyPromotedByDeadline"], abs=0.15
    )
    assert found["missing"] == [
        "rating: give --stable-mean rating=VALUE and --stable-sd rating=VALUE"
    ]


def test_asks_for_the_values_it_needs(run: conftest.Run, file: Path) -> None:
    answer = run("plan", "-f", str(file), "--rps", "40")
    assert "errors: give --stable-rate errors=SHARE" in answer.out
    assert "rating: give --stable-mean rating=VALUE and --stable-sd rating=VALUE" in answer.out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(("weight: 50", "weight: 5"), "weights must ascend", id="weights"),
        pytest.param(("minDuration: 5m", "minDuration: soon"), "expected a duration", id="time"),
        pytest.param(("bake:", "cake:"), "spec.cake: Extra inputs", id="field"),
        pytest.param(("kind: ModelRollout", "kind: Other"), "found 0", id="kind"),
        pytest.param(("metadata: {", "metadata: {{"), "is not YAML", id="yaml"),
        pytest.param(("analysis:", "analysis:\n    preset: none"), "preset none is", id="preset"),
    ],
)
def test_a_bad_file_gets_one_sentence(
    run: conftest.Run, file: Path, change: tuple[str, str], words: str
) -> None:
    file.write_text(ROLLOUT.replace(*change, 1), encoding="utf-8")
    answer = run("plan", "-f", str(file))
    assert answer.code == 4
    assert words in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--stable-rate", "errors=many"], "expected NAME=NUMBER", id="number"),
        pytest.param(["--stable-rate", "other=1"], "saw other", id="metric"),
        pytest.param(["--rps", "40", "--stable-rate", "7"], "between 0 and 1", id="share"),
    ],
)
def test_a_bad_value_gets_one_sentence(
    run: conftest.Run, file: Path, arguments: list[str], words: str
) -> None:
    answer = run("plan", "-f", str(file), *arguments)
    assert (answer.code, words in answer.err) == (4, True)


def test_an_absent_file_gets_one_sentence(run: conftest.Run, tmp_path: Path) -> None:
    answer = run("plan", "-f", str(tmp_path / "none.yaml"))
    assert answer.code == 4
    assert "expected a readable file" in answer.err


def test_needs_no_cluster_client() -> None:
    code = (
        "import sys; from modelrollout.cli import main; "
        "main.main(['plan', '-f', '/nonexistent']); sys.exit('kubernetes' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": os.pathsep.join(sys.path)}, check=False
    )
    assert done.returncode == 0


def test_a_plan_that_the_provider_cannot_follow_is_refused_as_in_the_cluster(
    run: conftest.Run, file: Path
) -> None:
    switched = ROLLOUT.replace(
        "{gatewayAPI: {parentRefs: [{name: public}]}}", "{service: {name: fraud}}"
    )
    file.write_text(switched, encoding="utf-8")
    answer = run("plan", "-f", str(file))
    assert answer.code != 0
    assert "spec.strategy.steps[0].weight asks to share traffic" in answer.err
    assert "gatewayAPI" in answer.err
