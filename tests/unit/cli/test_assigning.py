"""`assign`: the published assignment, from a file alone."""

from pathlib import Path

import pytest
import yaml

from modelrollout.assignment import hashing
from modelrollout.cli.main import main

ROLLOUT = """
apiVersion: modelrollout.dev/v1alpha1
kind: ModelRollout
metadata: {name: fraud, namespace: ml}
spec:
  versions:
    - {name: v1, service: {name: fraud-v1, port: 8080}}
    - {name: v2, service: {name: fraud-v2, port: 8080}}
    - {name: v3, service: {name: fraud-v3, port: 8080}}
  target: v1
  traffic: {gatewayAPI: {parentRefs: [{name: public}]}}
  strategy:
    abTest:
      unit: {header: x-user-id}
      arms: [{version: v2, weight: 20}, {version: v3, weight: 20}]
      duration: 14d
      goal: rating
  analysis:
    metrics:
      - name: rating
        role: goal
        better: higher
        buckets: {}
        mean: {sum: rating_sum, count: rating_count}
"""
USERS = [f"user-{n}" for n in range(40)]


def written(folder: Path, **status: object) -> Path:
    manifest = yaml.safe_load(ROLLOUT)
    if status:
        manifest["status"] = status
    path = folder / "rollout.yaml"
    path.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return path


def assigned(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[list[str]]:
    assert main(["assign", *USERS, "-f", str(path), *options]) == 0
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_users_are_assigned_by_the_intervals_that_the_arms_begin_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    *lines, origin = assigned(written(tmp_path), capsys)

    for user, (name, version, bucket, label) in zip(USERS, lines, strict=True):
        drawn = hashing.bucket(user, salt="ml/fraud/v1")
        assert name == user
        assert version == ("v2" if drawn < 2000 else "v3" if drawn < 4000 else "v1")
        assert bucket == f"bucket {drawn}"
        assert label == f"label {hashing.label(user)}"
    assert {line[1] for line in lines} == {"v1", "v2", "v3"}
    assert origin[0] == (
        "# v1, salt ml/fraud/v1; v2 20%, v3 20%, v1 60%, as a first apply decides; weights that "
        "were changed since may place some otherwise: take the file from the cluster to know"
    )


def test_a_file_from_the_cluster_says_what_was_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    intervals = [{"version": "v2", "parts": 1000}, {"version": "v1", "parts": 9000}]
    decision = {"sequence": 4, "shares": {"v1": 9000, "v2": 1000}, "intervals": intervals}
    *lines, origin = assigned(written(tmp_path, decision=decision), capsys)

    drawn = [hashing.bucket(user, salt="ml/fraud/v1") for user in USERS]
    assert [line[1] for line in lines] == ["v2" if one < 1000 else "v1" for one in drawn]
    assert origin[0].endswith("as decided, by the status in the file")


def test_a_file_that_names_no_namespace_needs_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rollout.yaml"
    path.write_text(ROLLOUT.replace(", namespace: ml", ""), encoding="utf-8")

    assert main(["assign", "ann", "-f", str(path)]) == 4
    assert "name the namespace there, or with --namespace" in capsys.readouterr().err
    assert (
        assigned(path, capsys, "--namespace", "ml")[:-1] == assigned(written(tmp_path), capsys)[:-1]
    )


def test_a_status_that_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, decision={"shares": {"v1": 12_000}})

    assert main(["assign", "ann", "-f", str(path)]) == 4
    assert "sum to 10000" in capsys.readouterr().err


def test_a_plan_of_a_test_says_who_meets_what_and_how_it_is_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "-f", str(written(tmp_path))]) == 0
    assert capsys.readouterr().out == (
        "an A/B test of 2 against v1, for 14d, by the header x-user-id:\n"
        "  v2  20% of the users\n"
        "  v3  20% of the users\n"
        "  v1  60%, and all requests that name no user\n"
        "the goal rating is judged once, at the end, with users as units\n"
        "a false winner has a chance of at most 5 %\n"
        "guardrails are judged by request at every look: none\n"
        "which difference can be seen depends on how much users differ: no file tells that\n"
    )
