"""Whether the gateways follow, and who wrote last."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelrollout.domain.reasons import Code
from modelrollout.routing.contract import MANAGER
from tests.unit.routing import gateway, test_generated
from tests.unit.routing.gateway import Json

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


def seen(live: Json) -> Any:
    return test_generated.read(gateway.rollout(), live)


def fresh() -> Json:
    return test_generated.written(gateway.rollout())


def test_accepted_at_its_generation_it_is_programmed() -> None:
    assert seen(gateway.accepted(fresh())).programmed


def _resolved(live: Json, **fields: Any) -> Json:
    live["status"]["parents"][0]["conditions"][1].update(fields)
    return live


@pytest.mark.parametrize(
    "live",
    [
        pytest.param(fresh(), id="no answer"),
        pytest.param(gateway.accepted(fresh(), observedGeneration=1), id="an older generation"),
        pytest.param(
            _resolved(gateway.accepted(fresh()), observedGeneration=1), id="half an older one"
        ),
        pytest.param(gateway.accepted(fresh(), status="Unknown", reason="Pending"), id="pending"),
        pytest.param(
            gateway.accepted(fresh(), type="Programmed"), id="an answer without acceptance"
        ),
    ],
)
def test_not_yet_is_no_problem(live: Json) -> None:
    found = seen(live)
    assert not found.programmed
    assert found.problem is None


def test_the_gateways_own_words_are_passed_on() -> None:
    live = gateway.accepted(
        fresh(), status="False", reason="NotAllowedByListeners", message="no listener takes it"
    )
    found = seen(live)
    assert not found.programmed
    assert not found.blocking
    assert found.problem.code is Code.NOT_PROGRAMMED
    for word in ("gateways/public", "fraud-rollout", "NotAllowedByListeners", "no listener takes"):
        assert word in found.problem.sentence


def test_a_backend_that_does_not_resolve_is_told() -> None:
    live = _resolved(gateway.accepted(fresh()), status="False", reason="BackendNotFound")
    assert "BackendNotFound" in seen(live).problem.sentence


@pytest.mark.parametrize("fields", [{"status": "Unknown"}, {"type": "PartiallyInvalid"}])
def test_references_that_nothing_is_said_about_are_no_hindrance(fields: Json) -> None:
    assert seen(_resolved(gateway.accepted(fresh()), **fields)).programmed


def test_every_parent_has_to_accept() -> None:
    live = fresh()
    live["spec"]["parentRefs"].append({"name": "private", "namespace": "gateways"})
    both = gateway.accepted(live)
    assert seen(both).programmed
    both["status"]["parents"].pop()
    assert not seen(both).programmed


def test_parents_of_one_gateway_are_told_apart_by_their_listener() -> None:
    live = fresh()
    live["spec"]["parentRefs"] = [{**gateway.PARENT, "sectionName": name} for name in ("a", "b")]
    both = gateway.accepted(live)
    assert seen(both).programmed
    both["status"]["parents"].pop()
    assert not seen(both).programmed


def test_a_route_without_a_gateway_serves_nobody() -> None:
    live = fresh()
    live["spec"]["parentRefs"] = []
    found = seen(gateway.accepted(live))
    assert not found.programmed
    assert "parentRefs" in found.problem.sentence


def test_the_last_writer_of_the_spec_is_named_with_its_instant() -> None:
    live = fresh()
    live["metadata"]["managedFields"] = [
        gateway.managed(MANAGER, NOON),
        gateway.managed("kubectl-patch", NOON + timedelta(seconds=5)),
        gateway.managed("traefik", NOON + timedelta(seconds=9), subresource="status"),
        gateway.managed("argocd", NOON + timedelta(seconds=9), fieldsV1={"f:metadata": {}}),
    ]
    found = seen(live)
    assert (found.writer, found.written_at) == ("kubectl-patch", NOON.timestamp() + 5)


def test_of_one_second_the_other_writer_came_last() -> None:
    live = fresh()
    live["metadata"]["managedFields"] = [
        gateway.managed("kubectl-patch", NOON),
        gateway.managed(MANAGER, NOON),
    ]
    assert seen(live).writer == "kubectl-patch"


def test_our_own_write_is_nobody_elses() -> None:
    live = fresh()
    live["metadata"]["managedFields"] = [
        gateway.managed("kubectl-create", NOON),
        gateway.managed(MANAGER, NOON + timedelta(seconds=1)),
    ]
    assert (seen(live).writer, seen(live).written_at) == ("", 0.0)
