"""What one Envoy is answered: news at once, refusals later, nothing by a replica that is behind."""

from dataclasses import replace

from modelrollout.routing.router.edition import Edition
from modelrollout.routing.router.snapshot import Snapshot
from modelrollout.xds.offering import GRACE_S, Envoys, Offer

ROUTER, NODE = "ml/fraud", "envoy-1"


def snapshot(
    sequence: int, *, clusters: str = "ab", needed: str = "a", is_settled: bool = True
) -> Snapshot:
    return Snapshot(
        edition=edition(sequence),
        is_settled=is_settled,
        resources={},
        clusters=frozenset(clusters),
        needed=frozenset(needed),
    )


def edition(sequence: int) -> Edition:
    return Edition(1, sequence, 1)


def offered(
    envoys: Envoys, what: str, has: int | None, found: Snapshot | None, *, now: float = 0.0
) -> Offer:
    """One request, as the endpoint treats it."""
    version = None if has is None else edition(has)
    envoys.arrived(ROUTER, NODE, what, has=version, snapshot=found)
    return envoys.offer(ROUTER, NODE, what, has=version, snapshot=found, now=now)


def test_news_is_sent_and_what_is_known_is_not() -> None:
    envoys = Envoys()
    assert offered(envoys, "routes", None, snapshot(1)).send
    assert not offered(envoys, "routes", 1, snapshot(1)).send
    assert offered(envoys, "routes", 1, snapshot(2)).send


def test_a_replica_that_is_behind_says_nothing() -> None:
    assert offered(Envoys(), "routes", 5, snapshot(4)) == Offer()
    assert offered(Envoys(), "routes", 5, None) == Offer()


def test_what_waits_for_the_leader_is_kept_from_envoys_that_have_something() -> None:
    waiting = snapshot(2, is_settled=False)
    assert not offered(Envoys(), "routes", 1, waiting).send
    assert offered(Envoys(), "routes", None, waiting).send


def test_a_refused_edition_comes_again_ever_more_seldom() -> None:
    envoys, sent = Envoys(), []
    for tenth in range(400):
        now = tenth / 10
        if offered(envoys, "routes", 1, snapshot(2), now=now).send:
            sent.append(now)
    assert sent == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0]
    assert offered(envoys, "routes", 1, snapshot(3), now=40.0).send


def test_refusals_and_taking_over_are_told_once() -> None:
    envoys = Envoys()
    assert offered(envoys, "routes", 1, snapshot(2)).send
    told = envoys.arrived(ROUTER, NODE, "routes", has=edition(1), snapshot=snapshot(2))
    assert told.refused
    told = envoys.arrived(ROUTER, NODE, "routes", has=edition(2), snapshot=snapshot(2))
    assert told.took_over
    assert not told.refused
    told = envoys.arrived(ROUTER, NODE, "routes", has=edition(2), snapshot=snapshot(2))
    assert not told.took_over


def begun(envoys: Envoys) -> None:
    """An Envoy that has decision 1, as this replica knows."""
    for what in ("clusters", "routes"):
        assert offered(envoys, what, None, snapshot(1)).send
        assert not offered(envoys, what, 1, snapshot(1)).send


def test_routes_wait_for_the_clusters_that_they_lead_to() -> None:
    envoys, new = Envoys(), snapshot(2, clusters="abc", needed="ac")
    begun(envoys)
    held = offered(envoys, "routes", 1, new)
    assert not held.send
    assert held.look_again_s == GRACE_S
    assert offered(envoys, "clusters", 1, new).send
    assert not offered(envoys, "clusters", 2, new).send
    assert offered(envoys, "routes", 1, new).send


def test_routes_wait_no_longer_than_the_grace_where_another_replica_knows_more() -> None:
    envoys, new = Envoys(), snapshot(2, clusters="abc", needed="ac")
    begun(envoys)
    assert not offered(envoys, "routes", 1, new, now=0.0).send
    assert offered(envoys, "routes", 1, new, now=GRACE_S).send


def test_clusters_go_after_the_routes_that_led_to_them() -> None:
    envoys, new = Envoys(), snapshot(2, clusters="a", needed="a")
    begun(envoys)
    assert not offered(envoys, "clusters", 1, new).send
    assert offered(envoys, "routes", 1, new).send
    assert not offered(envoys, "routes", 2, new).send
    assert offered(envoys, "clusters", 1, new).send


def test_one_cluster_for_another_locks_nobody_out() -> None:
    """Clusters and routes would each wait for the other; then clusters go first."""
    envoys, new = Envoys(), snapshot(2, clusters="bc", needed="c")
    begun(envoys)
    assert not offered(envoys, "routes", 1, new).send
    assert offered(envoys, "clusters", 1, new).send


def test_routes_wait_where_it_is_not_known_whether_an_envoy_has_a_new_cluster() -> None:
    envoys = Envoys()
    new = replace(snapshot(2, clusters="abc", needed="ac"), fresh=frozenset("c"))
    held = offered(envoys, "routes", 1, new)
    assert (held.send, held.look_again_s) == (False, GRACE_S)
    assert offered(envoys, "routes", 1, new, now=GRACE_S).send
    assert offered(Envoys(), "routes", 1, replace(new, fresh=frozenset())).send


def test_envoys_do_not_know_of_each_other() -> None:
    envoys = Envoys()
    begun(envoys)
    new = snapshot(2, clusters="abc", needed="ac")
    assert envoys.offer(ROUTER, "envoy-2", "routes", has=edition(1), snapshot=new, now=0.0).send
