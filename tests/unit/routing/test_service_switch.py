"""What the switch of a Service has of its own: all or nothing, by selectors."""

import copy
from typing import Any

import pytest

from modelrollout.domain.reasons import Code
from modelrollout.routing import service_switch
from tests.unit.routing.cases import CASES, Json, Store, labelled, observed, reference, rendered


def test_a_service_stays_where_it_is_while_nobody_is_to_have_everything() -> None:
    case = CASES["service"]
    assert rendered(case, case.before, shares={"v2": 5_000, "v1": 5_000}) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda live: live.pop(reference(service_switch.SERVICE, "fraud")), Code.ROUTE_MISSING),
        (lambda live: select(live, "fraud", {"app": "fraud"}), Code.SPLIT_CONTRADICTS),
        (lambda live: select(live, "fraud-v2", labelled("v1")), Code.NO_MATCHING_RULE),
    ],
    ids=["absent", "both versions at once", "two versions alike"],
)
def test_a_service_that_cannot_be_switched_says_why(change: Any, code: Code) -> None:
    live = copy.deepcopy(CASES["service"].before)
    change(live)
    found = observed(CASES["service"], live)
    assert found.problem.code is code
    assert found.shares is None


def select(live: Store, name: str, labels: Json) -> None:
    live[reference(service_switch.SERVICE, name)]["spec"]["selector"] = labels
