"""`wait` over real HTTP: its exit statuses, and what it survives."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli import apiserver, conftest, rollouts

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("rollout", "code", "words"),
    [
        pytest.param(rollouts.promoted(), 0, "fraud: promoted: v2@bb serves", id="promoted"),
        pytest.param(rollouts.rejected("RolledBack"), 1, "rolled back: errors 9.1 %", id="harm"),
        pytest.param(rollouts.rejected("Aborted"), 1, "rolled back: ", id="aborted"),
        pytest.param(rollouts.rejected("Inconclusive"), 2, "inconclusive: ", id="given up"),
        pytest.param(rollouts.undecided(), 2, "the deadline has passed", id="held"),
    ],
)
@pytest.mark.usefixtures("port")
def test_gives_the_outcome_that_stands(
    store: apiserver.Store, run: conftest.Run, rollout: Json, code: int, words: str
) -> None:
    store.put(rollout)
    answer = run("wait", "fraud")
    assert (answer.code, answer.err) == (code, "")
    assert words in answer.out
    assert answer.out.count("\n") == 1


@pytest.mark.usefixtures("port")
def test_follows_the_steps_by_one_watch_and_tells_each_change_once(
    store: apiserver.Store, run: conftest.Run
) -> None:
    def go_on() -> None:
        assert store.watching.wait(10)
        for state in (
            rollouts.at_step("1/3"),
            rollouts.at_step("2/3", weight="25%"),
            rollouts.promoted(),
        ):
            store.put(state)

    store.put(rollouts.at_step("1/3"))
    answer = run("wait", "fraud", "-n", "ml", meanwhile=go_on)
    assert answer.code == 0
    assert answer.err.splitlines() == [
        "fraud: Stepping step 1/3 at 5%: not yet shown",
        "fraud: Stepping step 2/3 at 25%: not yet shown",
    ]
    watches = [request for request in store.requests if "watch=true" in request.lower()]
    assert (len(watches), len(store.requests)) == (1, 2)


@pytest.mark.usefixtures("port")
def test_does_not_believe_a_status_of_the_generation_before(
    store: apiserver.Store, run: conftest.Run
) -> None:
    stale = rollouts.rejected("RolledBack")
    stale["metadata"]["generation"] = 3
    store.put(stale)
    answer = run("wait", "fraud", meanwhile=lambda: store.then(rollouts.promoted()))
    assert answer.code == 0
    assert "waiting for the operator to see the change" in answer.err


@pytest.mark.usefixtures("port")
def test_does_not_believe_a_rejection_that_a_retry_answers(
    store: apiserver.Store, run: conftest.Run
) -> None:
    rejected = rollouts.rejected("RolledBack")
    rejected["metadata"]["annotations"] = {"modelrollout.dev/retry": "7f3a"}
    store.put(rejected)
    answer = run("wait", "fraud", meanwhile=lambda: store.then(rollouts.promoted()))
    assert answer.code == 0


@pytest.mark.parametrize("trouble", ["drops", "expired", "refusals"])
@pytest.mark.usefixtures("port")
def test_survives_a_bad_watch(store: apiserver.Store, run: conftest.Run, trouble: str) -> None:
    store.put(rollouts.at_step("1/3"))
    match trouble:
        case "drops":
            store.drops = 1
        case "expired":
            store.expired = 2
        case _:
            store.refusals = [503, 429, 500]

    def go_on() -> None:
        assert store.watching.wait(10)
        store.put(rollouts.at_step("2/3"))
        store.put(rollouts.promoted())

    answer = run("wait", "fraud", meanwhile=go_on)
    assert answer.code == 0, answer.err


def test_survives_a_restart_of_the_apiserver(
    store: apiserver.Store,
    run: conftest.Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.put(rollouts.at_step("1/3"))
    first = apiserver.serving(store)
    port = first.__enter__()
    conftest.use(tmp_path, monkeypatch, port=port)
    again = apiserver.Store()
    again.put(rollouts.promoted())
    second = apiserver.serving(again, port=port)

    def restart() -> None:
        assert store.watching.wait(10)
        first.__exit__(None, None, None)
        second.__enter__()

    answer = run("wait", "fraud", meanwhile=restart)
    second.__exit__(None, None, None)
    assert answer.code == 0, answer.err


@pytest.mark.usefixtures("port")
def test_says_where_it_stood_when_the_time_is_up(store: apiserver.Store, run: conftest.Run) -> None:
    store.put(rollouts.at_step("2/3"))
    answer = run("wait", "fraud", "--timeout", "1s")
    assert answer.code == 3
    assert answer.out == (
        "fraud: timeout after 1s: fraud: Stepping step 2/3 at 5%: not yet shown\n"
    )


@pytest.mark.usefixtures("port")
def test_waits_for_a_target_that_is_set_only_later(
    store: apiserver.Store, run: conftest.Run
) -> None:
    store.put(rollouts.promoted(target="v2"))
    answer = run(
        *("wait", "fraud", "--for-target", "v3"),
        meanwhile=lambda: store.then(rollouts.promoted(target="v3")),
    )
    assert (answer.code, answer.out) == (0, "fraud: promoted: v3@bb serves\n")
    assert answer.err == "fraud: waiting for v3: the target is v2\n"


@pytest.mark.usefixtures("port")
def test_a_target_set_back_is_no_promotion(store: apiserver.Store, run: conftest.Run) -> None:
    store.put(rollouts.at_step("1/3"))
    answer = run(
        *("wait", "fraud"),
        meanwhile=lambda: store.then(rollouts.promoted(target="v1")),
    )
    assert answer.code == 1
    assert "withdrawn: the target was set back to v1, v2 is not on its way any more" in answer.out


@pytest.mark.usefixtures("port")
def test_a_rollout_deleted_meanwhile_is_an_error(store: apiserver.Store, run: conftest.Run) -> None:
    store.put(rollouts.at_step("1/3"))
    answer = run(*("wait", "fraud"), meanwhile=lambda: store.then(None))
    assert (answer.code, answer.out) == (4, "")
    assert "fraud was deleted while it was waited for" in answer.err


@pytest.mark.usefixtures("port")
def test_an_unusable_spec_is_an_error_and_a_missing_backend_is_waited_for(
    store: apiserver.Store, run: conftest.Run
) -> None:
    store.put(rollouts.refused("BackendMissing"))
    answer = run(
        *("wait", "fraud"),
        meanwhile=lambda: store.then(rollouts.refused("InvalidSpec")),
    )
    assert answer.code == 4
    assert "Serving: BackendMissing: " in answer.err
    assert "fraud is not accepted: weights must ascend" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["wait", "fraud"], "expected ModelRollout fraud in namespace ml", id="none"),
        pytest.param(["wait", "fraud", "--timeout", "soon"], "expected a duration", id="time"),
        pytest.param(["wait"], "required: NAME; see modelrollout wait --help", id="usage"),
        pytest.param(["dance"], "invalid choice: 'dance'", id="command"),
        pytest.param(["wait", "fraud", "--context", "x"], "expected a kubeconfig", id="context"),
    ],
)
@pytest.mark.usefixtures("port")
def test_bad_input_gets_one_sentence(run: conftest.Run, arguments: list[str], words: str) -> None:
    answer = run(*arguments)
    assert answer.code == 4
    assert answer.err.startswith("modelrollout: ")
    assert answer.err.count("\n") == 1
    assert words in answer.err


@pytest.mark.usefixtures("port")
def test_a_refusal_is_told_in_the_apiservers_words(
    store: apiserver.Store, run: conftest.Run
) -> None:
    store.refusals = [403]
    assert run("wait", "fraud").err == "modelrollout: refused with 403\n"


def test_an_apiserver_that_is_not_there_ends_in_a_timeout(
    run: conftest.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with apiserver.serving(apiserver.Store()) as port:
        conftest.use(tmp_path, monkeypatch, port=port)
    answer = run("wait", "fraud", "--timeout", "500ms")
    assert answer.code == 3
    assert "the apiserver does not answer" in answer.out


@pytest.mark.usefixtures("port")
@pytest.mark.parametrize(
    ("rollout", "code"), [(rollouts.promoted(), 0), (rollouts.at_step("1/3"), 3)], ids=["0", "3"]
)
def test_no_time_at_all_asks_how_it_stands(
    store: apiserver.Store, run: conftest.Run, rollout: Json, code: int
) -> None:
    store.put(rollout)
    answer = run("wait", "fraud", "--timeout", "0s")
    assert (answer.code, len(store.requests)) == (code, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("a: [b", "while parsing", id="no yaml"),
        pytest.param("just text", "expected a kubeconfig", id="no mapping"),
        pytest.param("{current-context: x}", "expected a kubeconfig", id="no context"),
        pytest.param("SERVER", "its server is 'nowhere', which is no address", id="no address"),
    ],
)
def test_a_kubeconfig_that_is_none_gets_one_sentence(
    run: conftest.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    conftest.use(tmp_path, monkeypatch, port=1)
    path = tmp_path / "kubeconfig"
    good = path.read_text(encoding="utf-8").replace("http://127.0.0.1:1", "nowhere")
    path.write_text(good if text == "SERVER" else text, encoding="utf-8")
    answer = run("status", "fraud")
    assert answer.code == 4
    assert words in answer.err
    assert answer.err.count("\n") == 1
