"""The published vectors, as tables with ids for tests."""

import json
from pathlib import Path
from typing import Any

import pytest

_ALL: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("vectors.json").read_text(encoding="utf-8")
)


def of(kind: str, name: str) -> list[Any]:
    """The vectors of one kind, each named by one of its fields."""
    return [
        pytest.param(one, id=f"{index}-{one[name]!r:.20}") for index, one in enumerate(_ALL[kind])
    ]
