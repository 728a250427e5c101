"""A shadow's counters across restarts of the observer."""

from modelrollout.api.status import Identity, ShadowStatus
from modelrollout.domain import shadowing


def shadow(**changes: object) -> ShadowStatus:
    fields = {
        "key": "k",
        "version": Identity(name="v2"),
        "started_at": 0.0,
        "clock_at": 0.0,
    }
    return ShadowStatus.model_validate(fields | changes)


def test_what_grew_is_added_once() -> None:
    before = shadow(seen={"match": 10}, counted={"match": 10})
    assert shadowing.added(before, {"match": 15, "mismatch": 2}) == {"match": 15, "mismatch": 2}
    again = shadow(seen={"match": 15}, counted={"match": 15})
    assert shadowing.added(again, {"match": 15}) == {"match": 15}


def test_a_restarted_observer_counts_on() -> None:
    before = shadow(seen={"match": 100}, counted={"match": 100})
    assert shadowing.added(before, {"match": 7}) == {"match": 107}


def test_series_that_are_gone_take_nothing_away() -> None:
    before = shadow(seen={"match": 100}, counted={"match": 100})
    assert shadowing.added(before, {}) == {"match": 100}
