"""Every YAML that we show is accepted by a real apiserver, strictly."""

import re
from pathlib import Path

import pytest

from tests.e2e import kubectl

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILES = sorted(ROOT.glob("examples/[0-9]*/*.yaml"))
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("examples/*/*.md")),
]
SHOWN = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall(page.read_text()))
]

pytestmark = pytest.mark.usefixtures("operator")


def tried(text: str) -> None:
    """Applies without storing; namespaces that a text names are made, since they must exist."""
    with kubectl.new_namespace("examples") as namespace:
        here = re.sub(r"namespace: ml\b", f"namespace: {namespace}", text)
        kubectl.must(
            *("apply", "--server-side", "--dry-run=server", "--validate=strict"),
            *("-n", namespace, "-f", "-"),
            stdin=here,
        )


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_an_example_is_accepted(file: Path) -> None:
    tried(file.read_text())


@pytest.mark.parametrize("block", SHOWN)
def test_what_a_page_shows_is_accepted(block: str) -> None:
    tried(block)


def test_there_is_something_to_try() -> None:
    assert len(FILES) >= 5
    assert SHOWN
