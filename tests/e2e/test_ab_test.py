"""A/B tests end to end: users of a real router, and a report by user from a real Prometheus."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.api import crd
from modelrollout.cli.main import main
from tests.e2e import fleet, kubectl
from tests.e2e.fleet import Fleet, summary
from tests.e2e.load import Load

Json = dict[str, Any]

EXAMPLE = crd.CHECKOUT / "examples" / "06-ab-test" / "rollout.yaml"
USERS = 1500


def spec(**changes: Any) -> Json:
    """The example, with times short enough for a test."""
    made: Json = example()["spec"]
    made["strategy"]["abTest"] |= {"duration": "40s"} | changes
    made["analysis"] |= {"interval": "4s", "warmUp": "2s"}
    made["analysis"]["metrics"][0]["margin"] = fleet.ERRORS["margin"]
    return made


def example() -> Json:
    """The example that people copy."""
    found: Json = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    return found


def tried(**test: Any) -> kubectl.Answer:
    """What the apiserver says to the example with another test; nothing is stored."""
    rollout = example()
    rollout["metadata"] = {"generateName": "fraud-", "namespace": "default"}
    rollout["spec"]["strategy"]["abTest"] |= test
    return kubectl.run("create", "--dry-run=server", "-f", "-", stdin=rollout)


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ({"arms": [{"version": "v1", "weight": 20}]}, "cannot be one of them: to release an arm"),
        ({"arms": [{"version": "v9", "weight": 20}]}, "must name one of spec.versions"),
        (
            {"arms": [{"version": "v2", "weight": 20}, {"version": "v2", "weight": "0.5%"}]},
            "two arms name the same version",
        ),
        (
            {"arms": [{"version": "v2", "weight": 60}, {"version": "v3", "weight": "40.5%"}]},
            "sum to at most 100",
        ),
        ({"arms": [{"version": "v2", "weight": 0}]}, "are above 0"),
        ({"goal": "errors"}, "with role goal and buckets"),
        ({"unit": {"header": "a", "cookie": "b"}}, "exactly one of these in unit"),
    ],
    ids=["target", "unknown", "twice", "sum", "nobody", "goal", "unit"],
)
@pytest.mark.usefixtures("operator")
def test_the_apiserver_refuses_and_says_what_to_write(test: Json, words: str) -> None:
    answer = tried(**test)
    assert not answer.ok
    assert words in answer.err


@pytest.mark.usefixtures("operator")
def test_the_apiserver_takes_the_example() -> None:
    assert tried().ok, tried().err


def test_a_provider_that_cannot_keep_users_is_refused_with_those_that_can(ml: Fleet) -> None:
    ml.deploy("v1", "v2", "v3")
    ml.rollout(**spec() | {"traffic": fleet.rollout(ml.host)["spec"]["traffic"]})
    found = ml.until(lambda s: fleet.condition(s, "Accepted").get("status") == "False")

    told = fleet.condition(found["status"], "Accepted")["message"]
    assert "spec.strategy.abTest asks to keep each user on one version" in told
    assert "spec.traffic.router" in told


def url(ml: Fleet) -> str:
    return f"http://fraud-router.{ml.namespace}.svc.cluster.local:8080"


def assigned(ml: Fleet, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Who gets what, by the command line from the rollout as it is."""
    path = folder / "rollout.yaml"
    path.write_text(yaml.safe_dump(ml.get()))
    capsys.readouterr()
    assert main(["assign", *(f"user-{n}" for n in range(USERS)), "-f", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {line.split("\t")[0]: line.split("\t")[1] for line in lines if line[0] != "#"}


def both(status: Json) -> bool:
    return set(status.get("decision", {}).get("shares", {})) == {"v1", "v2", "v3"} and bool(
        status["decision"].get("confirmedAt")
    )


def test_users_meet_one_version_each_and_the_report_names_the_winner(
    ml: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ml.deploy("v1", "v2", "v3")
    ml.behave("v3", quality=4.5)
    ml.rollout(**spec())
    ml.until(both)
    with Load(url(ml), ml.host, rate=120, users=USERS) as load:
        published = assigned(ml, tmp_path, capsys)
        found = ml.until(lambda s: bool((s.get("abTest") or {}).get("report")), timeout_s=150)
    report = found["status"]["abTest"]["report"]

    assert load.failed == {}, summary(found)
    assert (report["outcome"], report["winner"]) == ("Reported", "v3"), json.dumps(report)
    assert report["message"].startswith("v3 won after ")
    assert "%" in report["arms"][1]["lift"]
    # Until the end, when those of the arms go back to stable, each user met one version.
    wrong = {
        user: met
        for user, met in load.met.items()
        if {version for version in met if version != "v1"} - {published[user]}
    }
    assert wrong == {}
    ml.until(lambda s: s["decision"]["shares"] == {"v1": 10_000})
    ready = ml.until(lambda s: fleet.condition(s, "Ready").get("status") == "True")
    assert fleet.condition(ready["status"], "Ready")["reason"] == "ABTestReported"


def test_the_users_of_a_harmful_arm_go_to_stable_and_nobody_else_moves(
    ml: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ml.deploy("v1", "v2", "v3")
    ml.rollout(**spec(duration="1h"))
    ml.until(both)
    before = assigned(ml, tmp_path, capsys)
    ml.behave("v2", errors=0.5)
    with Load(url(ml), ml.host, rate=120, users=USERS):
        found = ml.until(
            lambda s: (
                set(s["decision"]["shares"]) == {"v1", "v3"}
                and bool(s["decision"].get("confirmedAt"))
            )
        )
    after = assigned(ml, tmp_path, capsys)

    assert {(before[u], after[u]) for u in before if before[u] != after[u]} == {("v2", "v1")}
    assert found["status"]["rejected"][-1]["name"] == "v2", summary(found)
    with Load(url(ml), ml.host, rate=150, users=USERS) as load:
        load.until(lambda: len(load.met) >= 300)
    assert {u: set(met) for u, met in load.met.items()} == {u: {after[u]} for u in load.met}
    assert "ArmStopped" in ml.events()


def test_a_hotfix_supersedes_the_test(ml: Fleet) -> None:
    ml.deploy("v1", "v2", "v3", "v4")
    ml.rollout(**spec(duration="1h"))
    ml.until(both)
    versions = fleet.versions("v1", "v2", "v3", "v4")
    ml.patch({"spec": {"versions": versions, "target": "v4"}})
    found = ml.until(lambda s: bool((s.get("abTest") or {}).get("report")))

    report = found["status"]["abTest"]["report"]
    assert report["outcome"] == "Superseded", summary(found)
    assert "superseded by the new target v4" in report["message"]
    ml.until(lambda s: s["candidate"]["name"] == "v4")


def test_a_winner_that_is_to_be_promoted_serves_after_its_bake(ml: Fleet) -> None:
    ml.deploy("v1", "v2", "v3")
    ml.behave("v3", quality=4.7)
    ml.rollout(**spec(onWinner="Promote", duration="24s"), bake={"duration": "4s"})
    ml.until(both)
    with Load(url(ml), ml.host, rate=150, users=USERS) as load:
        found = ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v3")
        ml.ready()
        ml.until(lambda s: fleet.condition(s, "Ready").get("reason") == "ABTestPromoted")

    assert load.failed == {}, summary(found)
    assert [version for _, version, _ in load.log[-20:]] == ["v3"] * 20
    told = ml.status()["message"]
    assert "Git still says target: v1. Write target: v3" in told
