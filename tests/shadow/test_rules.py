"""The recording rules against known pairs, by Prometheus's own evaluation (promtool)."""

import math
import random
import subprocess
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn import metrics

from modelrollout.shadow import increments, noise, settling, tallying
from modelrollout.shadow.tasks import classification, regression
from tests.cluster.build import gobuild, recipes

RULES = resources.files("modelrollout.presets") / "rules" / "shadow.yaml"
COMMON = {"namespace": "ml", "rollout": "fraud", "version": "v2"}
CHANCE = random.Random(7)
LABELS = [(CHANCE.choice("aab"), CHANCE.choice("aab")) for _ in range(200)]
NUMBERS = [(x, x + CHANCE.gauss(0.5, 2.0)) for x in (CHANCE.uniform(20, 80) for _ in range(200))]
EXCESS = {"candidate_only": 9, "control_only": 4, "both": 2, "neither": 85}


def series(tally: tallying.Tally, *, pair: str = "candidate") -> dict[str, float]:
    """As the observer exports it."""
    found: dict[str, float] = {}
    for (metric, labels), amount in tally.counters.items():
        found[_series(metric, dict(zip(increments.LABELS[metric], labels, strict=True)), pair)] = (
            amount
        )
    for (metric, labels), seen in tally.histograms.items():
        named = dict(zip(increments.LABELS[metric], labels, strict=True))
        found[_series(f"{metric}_sum", named, pair)] = seen.total
        found[_series(f"{metric}_count", named, pair)] = seen.count
    return found


def _series(name: str, labels: dict[str, str], pair: str) -> str:
    every = COMMON | {"pair": pair, "slice": "all"} | labels
    written = ",".join(f'{label}="{value}"' for label, value in every.items())
    return f"{increments.PREFIX}{name}{{{written}}}"


def compared() -> tallying.Tally:
    """Labels, as the task counts them; then numbers, without their verdicts."""
    of_labels = classification.Classification(labels=("a", "b"))
    of_numbers = regression.Regression(lowest=0.0, highest=100.0)
    counted: list[increments.Increment] = []
    for a, b in LABELS:
        pair = (of_labels.read(a), of_labels.read(b))
        counted += settling.settle(of_labels, primary=pair[:1], other=pair[1:]).counted
    for x, y in NUMBERS:
        counted += of_numbers.compare(x, y).counted
    counted += [
        increments.Count(increments.Metric.EXCESS, (sign,), amount)
        for sign, amount in EXCESS.items()
    ]
    counted += [
        increments.Count(increments.Metric.REQUESTS, (outcome,), amount)
        for outcome, amount in {
            "queue_full": 30,
            "not_sampled": 1000,
            "candidate_timeout": 20,
        }.items()
    ]
    return tallying.Tally.of(counted)


def expected() -> dict[str, float]:
    """By other people's formulas."""
    ours, theirs = zip(*LABELS, strict=True)
    x, y = np.array(NUMBERS).T
    agreement = metrics.accuracy_score(ours, theirs)
    kappa = metrics.cohen_kappa_score(ours, theirs)
    one_minute = noise.Excess(**EXCESS)
    hourly = noise.Excess(**{sign: 60 * amount for sign, amount in EXCESS.items()})
    return {
        "agreement:ratio5m": agreement,
        "noise:ratio5m": 0.25,
        "coverage:ratio5m": 220 / 250,
        "candidate_trouble:ratio5m": 20 / 220,
        "chance_agreement:ratio5m": (agreement - kappa) / (1.0 - kappa),
        "kappa:5m": kappa,
        "bias:5m": float(np.mean(y - x)),
        "mean_absolute_error:5m": float(np.mean(abs(y - x))),
        "rmse_of_range:5m": math.sqrt(float(np.mean((y - x) ** 2))) / 100.0,
        "correlation:5m": float(np.corrcoef(x, y)[0, 1]),
        "excess_pairs:increase1h": hourly.pairs,
        "excess:mean1h": one_minute.mean,
        "excess:standard_error1h": hourly.standard_error,
    }


@pytest.fixture(scope="module")
def promtool() -> Path:
    return gobuild.build(recipes.PROMETHEUS) / "promtool"


def judged(promtool: Path, folder: Path, checks: Iterable[dict[str, object]]) -> str:
    """What promtool has to say against it; "" for nothing."""
    floor = [
        increments.Count(increments.Metric.COMPARISONS, (verdict,), amount)
        for verdict, amount in {"match": 75, "mismatch": 25}.items()
    ]
    amounts = series(compared()) | series(tallying.Tally.of(floor), pair="control")
    given = [{"series": name, "values": f"0+{amount!r}x60"} for name, amount in amounts.items()]
    file = folder / "tests.yaml"
    (folder / "rules.yaml").write_text(RULES.read_text())
    file.write_text(
        yaml.safe_dump(
            {
                "rule_files": ["rules.yaml"],
                "tests": [
                    {"interval": "1m", "input_series": given, "promql_expr_test": list(checks)}
                ],
            }
        )
    )
    done = subprocess.run(
        [promtool, "test", "rules", file], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


def check(name: str, value: float) -> dict[str, object]:
    """To nine digits: sums in another order end in other digits."""
    labels = ",".join(f'{label}="{of}"' for label, of in COMMON.items())
    return {
        "expr": f"abs(modelrollout_shadow:{name} - ({value!r})) < bool 1e-9",
        "eval_time": "60m",
        "exp_samples": [{"labels": f"{{{labels}}}", "value": 1}],
    }


def test_every_rule_gives_what_is_known(promtool: Path, tmp_path: Path) -> None:
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    recorded = {rule["record"].removeprefix("modelrollout_shadow:") for rule in rules}
    known = {name: float(value) for name, value in expected().items()}
    assert recorded - {"moment:rate5m"} == set(known)
    assert judged(promtool, tmp_path, (check(name, value) for name, value in known.items())) == ""


def test_a_wrong_value_is_seen(promtool: Path, tmp_path: Path) -> None:
    assert "kappa" in judged(
        promtool, tmp_path, [check("kappa:5m", float(expected()["kappa:5m"]) + 1e-3)]
    )
