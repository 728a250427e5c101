"""What TraefikServices have of their own: the order behind a mirror, and cookies."""

import copy

import pytest

from modelrollout.api.scalars import PARTS
from modelrollout.domain.reasons import Code
from modelrollout.routing import traefik
from modelrollout.routing.contract import Tee, Verb
from tests.unit.routing import gateway
from tests.unit.routing.cases import CASES, moved, observed, reference, rendered


def test_in_traefik_the_split_stands_before_the_mirror_refers_to_it() -> None:
    case = CASES["traefik"]
    live = moved(case, {}, shares={"v1": PARTS})
    there = rendered(case, live, shares={"v1": PARTS}, tee=Tee("v2", 100))
    assert [one.target.name for one in there] == ["fraud-split", "fraud"]
    for change in there:
        live = gateway.performed(live, change)
    back = rendered(case, live, shares={"v1": PARTS})
    assert [(one.verb, one.target.name) for one in back] == [
        (Verb.APPLY, "fraud"),
        (Verb.DELETE, "fraud-split"),
    ]


@pytest.mark.parametrize("name", ["traefik", "traefik, own service"])
def test_a_sticky_traefik_service_is_refused_since_the_cookie_outranks_weights(name: str) -> None:
    case = CASES[name]
    live = moved(case, copy.deepcopy(case.before), shares={"v1": PARTS})
    live[reference(traefik.SERVICE, "fraud")]["spec"]["weighted"]["sticky"] = {"cookie": {}}
    found = observed(case, live)
    assert found.problem.code is Code.SESSION_PERSISTENCE
    assert found.blocking
