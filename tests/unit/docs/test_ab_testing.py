"""docs/ab-testing.md: what people copy from it does what it says."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from modelrollout.api import crd
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.assignment import hashing
from modelrollout.cli.main import main
from tests.unit.assignment import vectors

PAGE = (crd.CHECKOUT / "docs" / "ab-testing.md").read_text(encoding="utf-8")
EXAMPLE = crd.CHECKOUT / "examples" / "06-ab-test" / "rollout.yaml"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def copied() -> dict[str, Any]:
    """The names that an exporter has after copying all Python of the page."""
    names: dict[str, Any] = {}
    exec("\n".join(blocks("python")), names)  # noqa: S102 - it is the page that is under test
    return names


@pytest.mark.parametrize("vector", vectors.of("v1", "unit"))
def test_the_copied_helper_gives_the_published_label(
    copied: dict[str, Any], vector: dict[str, Any]
) -> None:
    assert copied["bucket_of"](vector["unit"]) == vector["label"] == hashing.label(vector["unit"])


def test_the_helper_is_ten_lines_at_most() -> None:
    assert len(blocks("python")[0].splitlines()) <= 10


def test_the_copied_counters_are_apart_by_bucket(copied: dict[str, Any]) -> None:
    copied["rated"]("user-1", 4.5)

    labels = {"bucket": hashing.label("user-1")}
    assert REGISTRY.get_sample_value("rating_sum_total", labels) == 4.5
    assert REGISTRY.get_sample_value("rating_count_total", labels) == 1.0


def test_the_table_of_the_page_is_true() -> None:
    rows = re.findall(r"^\| `(\S+)` \| `(\S+)` \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)

    assert len(rows) >= 4
    for salt, user, bucket, label in rows:
        assert hashing.bucket(user, salt=salt) == int(bucket)
        assert hashing.label(user) == label


def test_the_manifest_of_the_page_is_the_example_and_can_be_read() -> None:
    (shown,) = blocks("yaml")

    assert EXAMPLE.read_text(encoding="utf-8") == shown
    ModelRolloutSpec.model_validate(yaml.safe_load(shown)["spec"])


def test_the_command_line_says_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = blocks("console")
    assert main(["assign", "user-1", "-f", str(EXAMPLE)]) == 0

    said = capsys.readouterr().out.splitlines()
    told = shown.splitlines()[1:]
    assert told[0] == said[0]
    assert said[1].startswith(told[1].removesuffix("..."))
    assert Path(EXAMPLE).name in shown
