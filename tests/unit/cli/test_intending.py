"""Intents over real HTTP: what is written, in whose name, and what is not written."""

import pytest

from modelrollout.api import intents
from modelrollout.api.intents import Intent, Kind
from tests.unit.cli import apiserver, conftest, rollouts

Json = rollouts.Json


def waiting(*, step: int = 2, revision: str = "bb") -> Json:
    paused = rollouts.condition("Paused", "AwaitingApproval", "step 2 waits for an approval")
    return rollouts.rollout(
        "Waiting",
        paused,
        step=f"{step}/3",
        candidate={"name": "v2", "revision": revision},
        rollout={
            "id": "r1",
            "phase": "Waiting",
            "startedAt": 1.0,
            "clockAt": 1.0,
            "stepIndex": step - 1,
        },
    )


def given(store: apiserver.Store) -> tuple[Intent, ...]:
    last = store.states[-1]
    assert last is not None
    return intents.from_annotations(last["metadata"].get("annotations", {}))


@pytest.mark.usefixtures("port")
def test_an_approval_names_the_step_and_the_revision_seen(
    store: apiserver.Store, run: conftest.Run
) -> None:
    store.put(waiting())
    answer = run("approve", "fraud")
    assert answer.code == 0, answer.err
    (intent,) = given(store)
    assert (intent.kind, intent.by) == (Kind.APPROVE, "anna")
    assert intent.words == {"step": "2", "revision": "bb"}
    assert answer.out.startswith(f"fraud: approve given by anna ({intent.id} step=2")


@pytest.mark.usefixtures("port")
def test_an_approval_of_another_step_is_not_written(
    store: apiserver.Store, run: conftest.Run
) -> None:
    store.put(waiting())
    answer = run("approve", "fraud", "--step", "1")
    assert (answer.code, given(store)) == (4, ())
    assert "fraud waits at step 2, not at step 1" in answer.err


@pytest.mark.usefixtures("port")
def test_an_approval_that_nothing_waits_for_is_not_written(
    store: apiserver.Store, run: conftest.Run
) -> None:
    store.put(rollouts.at_step("1/3"))
    answer = run("approve", "fraud")
    assert (answer.code, given(store)) == (4, ())
    assert "no step waits for an approval; fraud: Stepping step 1/3" in answer.err


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.APPROVE])
@pytest.mark.usefixtures("port")
def test_the_other_intents_carry_their_reason(
    store: apiserver.Store, run: conftest.Run, kind: Kind
) -> None:
    store.put(rollouts.at_step("1/3"))
    answer = run(str(kind), "fraud", "--reason", "checked by hand")
    assert answer.code == 0, answer.err
    (intent,) = given(store)
    word = "despite" if kind is Kind.PROMOTE else "reason"
    assert (intent.kind, intent.words) == (kind, {word: "checked by hand"})


@pytest.mark.usefixtures("port")
def test_each_intent_has_an_id_of_its_own(store: apiserver.Store, run: conftest.Run) -> None:
    store.put(rollouts.at_step("1/3"))
    seen = set()
    for _ in range(3):
        run("pause", "fraud")
        seen |= {intent.id for intent in given(store)}
    assert len(seen) == 3


@pytest.mark.usefixtures("port")
def test_a_status_written_in_between_is_no_obstacle(
    store: apiserver.Store, run: conftest.Run
) -> None:
    store.put(waiting())
    store.between = [waiting()]
    answer = run("approve", "fraud")
    assert answer.code == 0, answer.err
    assert len(given(store)) == 1


@pytest.mark.usefixtures("port")
def test_nobody_approves_a_revision_that_came_in_between(
    store: apiserver.Store, run: conftest.Run
) -> None:
    store.put(waiting())
    store.between = [waiting(revision="cc")]
    answer = run("approve", "fraud")
    assert (answer.code, given(store)) == (4, ())
    assert "fraud has moved on meanwhile" in answer.err
