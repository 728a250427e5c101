"""`docs/statistics.md`: what it names exists, and its pictures show what it says."""

import ast
import inspect
import re
from typing import Any, Final

import yaml

from modelrollout.analysis.verdicts import Verdict
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain import questions
from modelrollout.domain.questions import Known
from tests.bench.statistics import __main__ as measured
from tests.docs import statistics as drawing

TESTS: Final = drawing.FOLDER.parents[1] / "tests"
TEXT: Final = (drawing.FOLDER.parent / "statistics.md").read_text(encoding="utf-8")


def existing() -> set[str]:
    files = [file for file in TESTS.rglob("test_*.py") if "cluster" not in file.parts]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 30
    assert named - existing() == set()


def test_every_table_that_is_named_is_on_the_page_of_the_benchmark() -> None:
    rows = TEXT.partition("## How each statement is shown")[2]
    named = re.findall(r'"([^"]+)"', rows)
    page = inspect.getsource(measured.page)
    assert named
    assert [one for one in named if f"## {one}\n" not in page] == []


def test_every_picture_is_drawn_and_every_drawing_shown() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(statistics/([\w-]+\.svg)\)", TEXT)
    assert sorted(shown) == sorted(drawing.PICTURES)
    assert all((drawing.FOLDER / name).stat().st_size > 0 for name in shown)


def test_the_defaults_of_the_example_are_the_defaults() -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    written: dict[str, Any] = yaml.safe_load(block)["spec"]
    bare = written | {"analysis": {"metrics": written["analysis"]["metrics"]}}
    as_written, as_left_out = map(ModelRolloutSpec.model_validate, (written, bare))
    assert as_written == as_left_out
    asked = questions.asked(as_written, Known(usual={"errors": 0.005}, requests=600.0, looks=60))
    assert {name: one.spending is not None for name, one in asked.items()} == {
        "errors": True,
        "slow": False,
    }


def test_the_healthy_path_stays_below_its_boundary_and_the_harmful_one_crosses_it() -> None:
    healthy, harmful = (
        drawing.walked(drawing.drawn(rps=10.0, candidate=rate)) for _, rate in drawing.PATHS
    )
    assert healthy.alarm_at is None
    assert harmful.alarm_at is not None
    assert harmful.alarm_at < drawing.LOOKS


def test_pooled_counts_blame_an_equal_candidate_for_a_shared_incident() -> None:
    looks = drawing.drawn(rps=100.0, candidate=drawing.STABLE, incident=drawing.INCIDENT)
    said = drawing.judged(looks)[-1]
    assert said.verdict is not Verdict.WORSE
    assert said.ratio is not None
    assert said.ratio.low < 1.0 < said.ratio.high < drawing.pooled(looks)[-1]


def test_the_three_answers_are_three() -> None:
    answers = [
        drawing.first(drawing.judged(drawing.drawn(rps=rps, candidate=rate)))[1].verdict
        for _, rps, rate in drawing.THREE
    ]
    assert answers == [Verdict.WORSE, Verdict.NOT_WORSE, Verdict.UNDECIDED]
