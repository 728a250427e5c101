"""The operator's own key: made once by who leads, read by all, never shorter than it must be."""

import base64
from typing import Any

import pytest

from modelrollout.adapters.apiserver import ApiError
from modelrollout.adapters.gate import GateClosedError
from modelrollout.adapters.keys import Keys

Json = dict[str, Any]


class Secrets:
    """An apiserver with one Secret at most."""

    def __init__(self, *, leads: bool = True, key: bytes | None = None) -> None:
        self.leads, self.created, self.reads = leads, 0, 0
        self.found = None if key is None else _secret(key)
        self.meanwhile: Json | None = None

    async def get(self, path: str, query: Any = None) -> Json | None:
        assert query is None
        assert path == "/api/v1/namespaces/ops/secrets/modelrollout-router"
        self.reads += 1
        return self.found

    async def create(self, path: str, body: Json) -> Json:
        assert path == "/api/v1/namespaces/ops/secrets"
        if not self.leads:
            raise GateClosedError("this replica does not lead")
        if self.meanwhile is not None:
            self.found = self.meanwhile
            raise ApiError(409, "AlreadyExists", "it exists")
        self.created += 1
        self.found = body
        return body


def _secret(key: bytes) -> Json:
    return {"data": {"key": base64.b64encode(key).decode()}}


def keys(apiserver: Any) -> Keys:
    return Keys(apiserver, namespace="ops", name="modelrollout-router")


async def test_the_leader_makes_a_key_once_and_remembers_it() -> None:
    there = Secrets()
    mine = keys(there)
    first = await mine.current()
    assert first is not None
    assert len(first) == 32
    assert await mine.current() == first
    assert await keys(there).current() == first
    assert (there.created, there.reads) == (1, 2)


async def test_a_standby_waits_for_the_leaders_key() -> None:
    there = Secrets(leads=False)
    mine = keys(there)
    assert await mine.current() is None
    there.found = _secret(b"k" * 32)
    assert await mine.current() == b"k" * 32


async def test_who_comes_second_takes_the_key_of_the_first() -> None:
    there = Secrets()
    there.meanwhile = _secret(b"f" * 32)
    assert await keys(there).current() == b"f" * 32


@pytest.mark.parametrize("written", [b"short", b""])
async def test_a_key_that_somebody_made_too_short_is_none(written: bytes) -> None:
    there = Secrets(leads=False, key=written)
    assert await keys(there).current() is None
