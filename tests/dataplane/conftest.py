"""One plane per test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.dataplane import envoys


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[envoys.Plane]:
    """A discovery endpoint and model servers; the test starts its Envoys."""
    async with envoys.plane(tmp_path) as made:
        yield made
