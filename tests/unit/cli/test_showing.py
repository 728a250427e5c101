"""`status`: one screen that says where a rollout stands, and why."""

import pytest

from tests.unit.cli import apiserver, conftest, rollouts


@pytest.mark.usefixtures("port")
def test_shows_where_it_stands_and_each_metric(store: apiserver.Store, run: conftest.Run) -> None:
    state = rollouts.at_step("2/3", weight="25%", message="errors: not yet shown")
    state["status"]["versions"] = [
        {"name": "v1", "revision": "aa", "ready": "3/3", "weight": "75%", "observedWeight": "75%"},
        {"name": "v2", "revision": "bb", "ready": "2/2", "weight": "25%", "observedWeight": "5%"},
    ]
    state["status"]["metrics"] = [
        {
            "name": "errors",
            "verdict": "Undecided",
            "candidate": "0.51 %",
            "stable": "0.49 %",
            "estimate": "ratio 1.04",
            "interval": "0.71 to 1.52",
            "samples": "412 / 8,000",
            "message": "errors 0.51 % against 0.49 %: not yet shown within the margin",
        },
        {"name": "slow", "verdict": "NoData", "samples": "0 / 0"},
    ]
    state["status"]["conditions"].append(
        rollouts.condition("MetricsAvailable", "NoSeries", "slow: no series", truth="False")
    )
    store.put(state)
    answer = run("status", "fraud")
    assert answer.code == 0, answer.err
    assert answer.out == (
        "fraud: Stepping, step 2/3, 25% on the candidate\n"
        "errors: not yet shown\n"
        "target v2, stable v1@aa, candidate v2@bb\n"
        "\n"
        "VERSION  REVISION  READY  WEIGHT  OBSERVED\n"
        "v1       aa        3/3    75%     75%\n"
        "v2       bb        2/2    25%     5%\n"
        "\n"
        "METRIC  ROLE       VERDICT    CANDIDATE  STABLE  ESTIMATE    INTERVAL      SAMPLES\n"
        "errors  guardrail  Undecided  0.51 %     0.49 %  ratio 1.04  0.71 to 1.52  412 / 8,000\n"
        "slow    guardrail  NoData     -          -       -           -             0 / 0\n"
        "\n"
        "  errors 0.51 % against 0.49 %: not yet shown within the margin\n"
        "\n"
        "MetricsAvailable=False NoSeries: slow: no series\n"
    )


@pytest.mark.usefixtures("port")
def test_a_rollout_that_nobody_saw_yet_is_shown_as_such(
    store: apiserver.Store, run: conftest.Run
) -> None:
    state = rollouts.at_step("1/3")
    state["status"] = {}
    store.put(state)
    answer = run("status", "fraud")
    assert answer.out.startswith("fraud: not seen by the operator yet\ntarget v2, stable none")


@pytest.mark.usefixtures("port")
def test_a_status_of_a_newer_operator_gets_a_sentence(
    store: apiserver.Store, run: conftest.Run
) -> None:
    state = rollouts.at_step("1/3")
    state["status"]["stable"] = "v1"
    store.put(state)
    answer = run("status", "fraud")
    assert answer.code == 4
    assert "the status of fraud is not readable (stable: " in answer.err


@pytest.mark.usefixtures("port")
def test_the_report_of_an_ab_test_is_a_table(store: apiserver.Store, run: conftest.Run) -> None:
    arms = [
        {"version": "v2", "verdict": "Stopped"},
        {
            "version": "v3",
            "verdict": "Better",
            "goal": "3.19",
            "stable": "2.997",
            "lift": "+6.5 % (+5.4 % to +7.5 %)",
            "guardrails": "errors NotWorse",
        },
    ]
    report = {
        "outcome": "Reported",
        "winner": "v3",
        "stable": "v1",
        "goal": "rating",
        "message": "v3 won after 14d",
        "startedAt": 0,
        "endedAt": 1,
        "arms": arms,
    }
    test = {"key": "k", "running": False, "startedAt": 0, "clockAt": 0, "report": report}
    store.put(rollouts.rollout("Serving", target="v1", abTest=test))
    answer = run("status", "fraud")

    assert "Reported: v3 won after 14d\nARM  VERDICT  RATING  V1     LIFT" in answer.out
    assert "v3   Better   3.19    2.997  +6.5 % (+5.4 % to +7.5 %)  errors NotWorse" in answer.out


@pytest.mark.usefixtures("port")
def test_the_arms_of_a_test_under_way_are_a_table(
    store: apiserver.Store, run: conftest.Run
) -> None:
    rollout = {"id": "v2-1", "phase": "Stepping", "startedAt": 0, "clockAt": 0}
    arms = [
        {
            "version": {"name": "v2", "revision": "aa"},
            "share": 2000,
            "state": "Running",
            "rollout": rollout,
            "metrics": [{"name": "errors", "verdict": "NotWorse"}],
        },
        {
            "version": {"name": "v3"},
            "share": 2000,
            "state": "Stopped",
            "message": "errors: worse",
            "rollout": rollout,
        },
    ]
    test = {"key": "k", "startedAt": 0, "clockAt": 0, "arms": arms}
    store.put(rollouts.rollout("Testing", target="v1", abTest=test))
    answer = run("status", "fraud")

    assert (
        "ARM    STATE    USERS  GUARDRAILS       WHY\n"
        "v2@aa  Running  20%    errors NotWorse  -\n"
        "v3     Stopped  20%    -                errors: worse\n"
    ) in answer.out, answer.out


@pytest.mark.usefixtures("port")
def test_says_where_the_candidate_is_seen_before_the_switch(
    store: apiserver.Store, run: conftest.Run
) -> None:
    state = rollouts.at_step("3/3", message="waits for an approval")
    state["status"]["preview"] = "http://fraud-preview.example.com"
    store.put(state)
    shown = run("status", "fraud").out.splitlines()
    assert "the candidate is at http://fraud-preview.example.com" in shown
