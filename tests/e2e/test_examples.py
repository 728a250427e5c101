"""Every manifest that users are shown, given to a real apiserver as they would give it.

The files of `examples/` and each YAML block of the README and of `docs/`: a block is a manifest,
which the apiserver must take, or values of the chart, which the chart must take. There is no third
kind, so that nothing is skipped.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from modelrollout.api import crd
from modelrollout.cli import main
from tests.e2e import kubectl
from tests.unit.chart import rendering

Json = dict[str, Any]

MANIFESTS: Final = sorted((crd.CHECKOUT / "examples").glob("[0-9]*/*.y*ml"))
EXAMPLES: Final = [path for path in MANIFESTS if path.stem == "rollout"]
PAGES: Final = [
    crd.CHECKOUT / "README.md",
    *sorted((crd.CHECKOUT / "docs").rglob("*.md")),
    *sorted((crd.CHECKOUT / "examples").glob("*/*.md")),
]
_FENCE: Final = re.compile(
    r"^(?P<indent> *)```+ *ya?ml\b[^\n]*\n(?P<text>.*?)^ *```", re.MULTILINE | re.DOTALL
)
_NAMESPACE: Final = "ml"


@dataclass(frozen=True, slots=True)
class Block:
    """A YAML block of a page."""

    page: Path
    line: int
    text: str

    @property
    def id(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(crd.CHECKOUT).as_posix()}:{self.line}"

    @property
    def is_manifest(self) -> bool:
        """Whether every document of it is an object of the apiserver."""
        documents = [one for one in yaml.safe_load_all(self.text) if one]
        return all(isinstance(one, dict) and "apiVersion" in one for one in documents)


def blocks() -> list[Block]:
    return [block for page in PAGES for block in of_page(page, page.read_text(encoding="utf-8"))]


def of_page(page: Path, text: str) -> list[Block]:
    found = []
    for match in _FENCE.finditer(text):
        indent = match["indent"]
        lines = [line.removeprefix(indent) for line in match["text"].splitlines()]
        found.append(Block(page, text.count("\n", 0, match.start()) + 1, "\n".join(lines) + "\n"))
    return found


BLOCKS: Final = blocks()


@pytest.fixture(scope="module")
def namespace(operator: None) -> str:
    """The namespace that the manifests name; it stays, other tests run beside."""
    own = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}
    kubectl.must("apply", "--server-side", "-f", "-", stdin=own)
    return _NAMESPACE


def tried(text: str, *, namespace: str) -> kubectl.Answer:
    """What the apiserver says to it; nothing is stored."""
    manifests = [one for one in yaml.safe_load_all(text) if one]
    # Those without a namespace go to that of the examples; one that names another must say so.
    in_place = all(
        one.get("metadata", {}).get("namespace", namespace) == namespace for one in manifests
    )
    where = ["-n", namespace] if in_place else []
    return kubectl.run(
        "apply", "--dry-run=server", "--validate=strict", *where, "-f", "-", stdin=text
    )


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_apiserver_takes_every_example(namespace: str, path: Path) -> None:
    answer = tried(path.read_text(encoding="utf-8"), namespace=namespace)
    assert answer.ok, answer.err
    assert "server dry run" in answer.out
    assert "Warning" not in answer.err


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_has_a_plan(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main.main(["plan", "-f", str(path), "--rps", "40", "--stable-rate", "0.004"])
    seen = capsys.readouterr()
    assert (code, seen.err) == (0, "")
    assert seen.out.startswith(("to v", "an A/B test of "))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.id)
def test_every_yaml_block_of_the_pages_is_taken(namespace: str, block: Block) -> None:
    if not block.is_manifest:
        rendering.render(yaml.safe_load(block.text))  # refuses what is not a value of the chart
        return
    answer = tried(block.text, namespace=namespace)
    assert answer.ok, answer.err


def test_no_yaml_block_is_overlooked() -> None:
    fences = sum(
        len(
            re.findall(
                r"^ *(?:```+|~~~+) *ya?ml",
                page.read_text(encoding="utf-8"),
                re.MULTILINE | re.IGNORECASE,
            )
        )
        for page in PAGES
    )
    assert fences == len(BLOCKS) > 0


def test_a_misspelt_manifest_is_refused(namespace: str) -> None:
    text = EXAMPLES[0].read_text(encoding="utf-8").replace("hostnames", "hostname")
    answer = tried(text, namespace=namespace)
    assert not answer.ok
    assert 'unknown field "spec.traffic.gatewayAPI.hostname"' in answer.err


def test_the_first_example_is_that_of_the_readme() -> None:
    shown = next(block for block in BLOCKS if block.page.name == "README.md")
    assert EXAMPLES[0].read_text(encoding="utf-8") == shown.text
