"""What the watches keep fresh is not read again; what they cannot vouch for is."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from modelrollout.adapters import kinds
from modelrollout.adapters.apiserver import path_of
from modelrollout.adapters.informed import FRESH_S, SERVICE_OF_SLICE, Informed

Json = dict[str, Any]

PATH = path_of(kinds.SERVICE, "ml", "fraud-v1")
SLICES = path_of(kinds.SLICE, "ml")
CHOSEN = {"labelSelector": f"{SERVICE_OF_SLICE}=fraud-v1"}


def service(version: int) -> Json:
    return {"metadata": {"namespace": "ml", "name": "fraud-v1", "resourceVersion": str(version)}}


def piece(name: str, version: int) -> Json:
    labels = {SERVICE_OF_SLICE: "fraud-v1"}
    metadata = {"namespace": "ml", "name": name, "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata}


class Store:
    """An apiserver's answers, counted; `meanwhile` is called before it answers."""

    def __init__(self, *objects: Json) -> None:
        self.objects, self.reads = list(objects), 0
        self.meanwhile: Callable[[], None] = lambda: None

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json | None:
        del path, query
        self.reads += 1
        found = self.objects[0] if self.objects else None
        self.meanwhile()
        return found

    async def cached(self, path: str, query: Mapping[str, str] | None = None) -> list[Json]:
        del path, query
        self.reads += 1
        found = list(self.objects)
        self.meanwhile()
        return found


class Time:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def informed(store: Store, time: Time | None = None) -> Informed:
    return Informed(store, monotonic=time or Time())


def test_an_object_is_read_once() -> None:
    store = Store(service(1))
    known = informed(store)
    first, second = asyncio.run(known.get(PATH)), asyncio.run(known.get(PATH))
    assert first == second == service(1)
    assert store.reads == 1


def test_a_change_that_a_watch_brings_is_what_is_read() -> None:
    store = Store(service(1))
    known = informed(store)
    asyncio.run(known.get(PATH))
    known.saw(kinds.SERVICE, service(2), deleted=False)
    assert asyncio.run(known.get(PATH)) == service(2)
    assert store.reads == 1


def test_an_event_older_than_what_was_read_changes_nothing() -> None:
    known = informed(Store(service(10)))
    asyncio.run(known.get(PATH))
    known.saw(kinds.SERVICE, service(9), deleted=False)
    assert asyncio.run(known.get(PATH)) == service(10)


def test_a_deleted_object_is_asked_for_again() -> None:
    store = Store(service(1))
    known = informed(store)
    asyncio.run(known.get(PATH))
    store.objects.clear()
    known.saw(kinds.SERVICE, service(2), deleted=True)
    assert asyncio.run(known.get(PATH)) is None
    assert asyncio.run(known.get(PATH)) is None
    assert store.reads == 3


def test_a_change_while_an_object_is_read_makes_it_be_read_again() -> None:
    store = Store(service(1))
    known = informed(store)
    store.meanwhile = lambda: known.saw(kinds.SERVICE, service(2), deleted=False)
    asyncio.run(known.get(PATH))
    store.objects, store.meanwhile = [service(2)], lambda: None
    assert asyncio.run(known.get(PATH)) == service(2)
    assert store.reads == 2


def test_nothing_is_believed_for_longer_than_it_is_fresh() -> None:
    store, time = Store(service(1)), Time()
    known = informed(store, time)
    asyncio.run(known.get(PATH))
    store.objects, time.now = [service(5)], FRESH_S + 1.0
    assert asyncio.run(known.get(PATH)) == service(5)


def test_slices_of_a_service_come_and_go_by_events() -> None:
    store = Store(piece("a", 1))
    known = informed(store)
    asyncio.run(known.cached(SLICES, CHOSEN))
    known.saw(kinds.SLICE, piece("b", 2), deleted=False)
    assert asyncio.run(known.cached(SLICES, CHOSEN)) == [piece("a", 1), piece("b", 2)]
    known.saw(kinds.SLICE, piece("a", 3), deleted=True)
    assert asyncio.run(known.cached(SLICES, CHOSEN)) == [piece("b", 2)]
    assert store.reads == 1


def test_what_no_watch_keeps_is_read_each_time() -> None:
    store = Store()
    known = informed(store)
    for _ in range(2):
        asyncio.run(known.cached(path_of(kinds.POD, "ml"), {"labelSelector": "app=fraud"}))
    assert store.reads == 2


def test_objects_that_nobody_reads_are_not_kept() -> None:
    store = Store(service(1))
    known = informed(store)
    known.saw(kinds.SERVICE, service(7), deleted=False)
    assert asyncio.run(known.get(PATH)) == service(1)


def test_an_object_of_no_rollout_any_more_is_forgotten_with_its_age() -> None:
    store, time = Store(service(1)), Time()
    known = informed(store, time)
    asyncio.run(known.get(PATH))
    time.now = 3 * FRESH_S
    asyncio.run(known.get(path_of(kinds.SERVICE, "ml", "another")))
    assert known.size == 1
