"""What is stored becomes what is served, and wakes whoever waits."""

import asyncio
import copy
from typing import Any

import pytest

from modelrollout.xds.shelf import Shelf
from tests.dataplane import envoys

Json = dict[str, Any]
KEY = ("ml", "fraud")


def stored(shares: dict[str, int] | None = None, **more: Any) -> Json:
    return envoys.live(shares or {"v1": 10_000}, **more)


def test_what_is_stored_is_served() -> None:
    shelf = Shelf()
    assert shelf.snapshot(KEY) is None
    shelf.put(stored(sequence=4))
    found = shelf.snapshot(KEY)
    assert found is not None
    assert (found.edition.sequence, found.is_settled) == (4, True)
    assert found.clusters == {f"ml/fraud-v{number}/8080" for number in (1, 2, 3)}
    assert found.needed == {"ml/fraud-v1/8080"}
    shelf.drop(KEY)
    assert shelf.snapshot(KEY) is None


def test_a_watch_that_lags_behind_a_write_undoes_nothing() -> None:
    shelf, new, old = Shelf(), stored(sequence=3), stored(sequence=2)
    new["metadata"]["resourceVersion"], old["metadata"]["resourceVersion"] = "100", "99"
    shelf.put(new)
    shelf.put(old)
    found = shelf.snapshot(KEY)
    assert found is not None
    assert found.edition.sequence == 3
    old["metadata"]["uid"] = "uid-of-another"
    shelf.put(old)
    found = shelf.snapshot(KEY)
    assert found is not None
    assert found.edition.sequence == 2


def test_what_goes_lingers_for_one_edition() -> None:
    shelf = Shelf()
    found = []
    for number, versions in enumerate((("v1", "v2"), ("v1", "v3"), ("v1", "v3"), ("v1",)), 1):
        shelf.put(stored(sequence=number, versions=versions))
        found.append(shelf.snapshot(KEY))
    fresh = [sorted(name.split("-")[1][:2] for name in one.fresh) for one in found if one]
    assert fresh == [[], ["v3"], [], []]
    had = [{name.split("-")[1][:2] for name in one.clusters} for one in found if one]
    assert had == [{"v1", "v2"}, {"v1", "v2", "v3"}, {"v1", "v3"}, {"v1", "v3"}]
    served = [{one["name"] for one in shot.resources["clusters"]} for shot in found if shot]
    assert [len(names) for names in served] == [2, 3, 2, 2]


def test_a_spec_that_the_leader_has_not_seen_yet_is_not_settled() -> None:
    shelf, live = Shelf(), stored()
    live["metadata"]["generation"] = 2
    shelf.put(live)
    found = shelf.snapshot(KEY)
    assert found is not None
    assert not found.is_settled


def test_the_return_to_stable_of_a_deleted_rollout_reaches_its_envoys() -> None:
    """A deletion raises the generation, and the status at the end names none."""
    shelf, live = Shelf(), stored(sequence=2)
    live["metadata"] |= {"generation": 2, "deletionTimestamp": "2026-01-03T00:00:00Z"}
    shelf.put(live)
    before = shelf.snapshot(KEY)
    live = copy.deepcopy(live)
    live["status"]["phase"] = "Terminating"
    live["status"]["decision"]["sequence"] = 3
    shelf.put(live)
    after = shelf.snapshot(KEY)
    assert before is not None
    assert after is not None
    assert (before.is_settled, after.is_settled) == (False, True)


def test_a_status_of_another_object_is_not_settled() -> None:
    shelf, live = Shelf(), stored()
    live["status"]["uid"] = "of a backup"
    shelf.put(live)
    found = shelf.snapshot(KEY)
    assert found is not None
    assert not found.is_settled


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"decision": {"sequence": 2, "shares": {"gone": 10_000}}}, id="no-version"),
        pytest.param({"decision": {"sequence": "x"}}, id="no-number"),
    ],
)
def test_what_cannot_be_served_leaves_the_last_good_one(change: Json) -> None:
    shelf = Shelf()
    shelf.put(stored())
    before = shelf.snapshot(KEY)
    live = copy.deepcopy(stored())
    live["status"] |= change
    shelf.put(live)
    assert shelf.snapshot(KEY) is before


def test_another_provider_serves_nothing_to_envoys() -> None:
    shelf, live = Shelf(), stored()
    live["spec"]["traffic"] = {"gatewayAPI": {"parentRefs": [{"name": "public"}]}}
    shelf.put(live)
    assert shelf.snapshot(KEY) is None


async def test_news_wakes_whoever_waits_and_a_status_without_news_wakes_nobody() -> None:
    shelf = Shelf()
    shelf.put(stored())
    waiting = asyncio.create_task(shelf.news(KEY, within_s=30.0))
    await asyncio.sleep(0)
    live = stored()
    live["status"]["message"] = "a look was counted"
    shelf.put(live)
    await asyncio.sleep(0)
    assert not waiting.done()
    shelf.put(stored(sequence=2))
    await asyncio.wait_for(waiting, 5)


async def test_waiting_ends_by_itself() -> None:
    await Shelf().news(KEY, within_s=0.01)
