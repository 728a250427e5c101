"""What is answered to one request of one Envoy: pure, with what this replica knows of its Envoys.

Envoy's REST protocol has no words for "taken over" and "refused". The next request carries the
edition that is in force: the one that was sent, or still an older one. A refused edition is not
sent again at once, or Envoy and operator would go round in circles; but it is sent again, since a
refusal may have been a matter of order.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from modelrollout.routing.router.edition import Edition
from modelrollout.routing.router.snapshot import Snapshot

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
GRACE_S: Final = 2.0
"""How long routes wait for clusters, and the end of clusters for routes, at most: what another
replica knows of an Envoy is not known here."""
_MOST: Final = 5_000
"""Envoys that are remembered."""


@dataclass(slots=True)
class Sent:
    """The last edition that was sent to one Envoy for one type.

    Attributes:
        edition: that was sent.
        times: how often.
        again_at: when it may be sent again.
    """

    edition: Edition
    times: int
    again_at: float


@dataclass(slots=True)
class Known:
    """What this replica knows of one Envoy.

    Attributes:
        sent: by type.
        has: the editions it said to have, by type.
        clusters: that it has for certain; None where that is not known.
        offered: the clusters of what was sent last.
        newest, newest_since: the newest edition, and when this Envoy first asked after it was.
    """

    sent: dict[str, Sent] = field(default_factory=dict)
    has: dict[str, Edition] = field(default_factory=dict)
    clusters: frozenset[str] | None = None
    offered: frozenset[str] = frozenset()
    newest: Edition | None = None
    newest_since: float = 0.0


@dataclass(frozen=True, slots=True)
class Offer:
    """The outcome: send now, or hold the request.

    Attributes:
        send: the snapshot is to be sent.
        look_again_s: when holding ends by itself at the latest; None for only with news.
        took_over: the Envoy has just said that it has the newest edition of this type.
        refused: it has just come back with an older one than it was sent.
    """

    send: bool = False
    look_again_s: float | None = None
    took_over: bool = False
    refused: bool = False


class Envoys:
    """The Envoys that have asked this replica."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Known] = OrderedDict()

    def arrived(
        self, router: str, node: str, what: str, *, has: Edition | None, snapshot: Snapshot | None
    ) -> Offer:
        """Notes what a request says; the offer tells only what is new by it."""
        known = self._of(router, node)
        before = known.has.get(what)
        if has is not None:
            known.has[what] = has
        sent = known.sent.get(what)
        if what == "clusters" and sent is not None and has == sent.edition:
            known.clusters = known.offered
        refused = sent is not None and (has is None or has < sent.edition)
        newest = snapshot.edition if snapshot else None
        return Offer(took_over=has is not None and has == newest and before != has, refused=refused)

    def offer(
        self,
        router: str,
        node: str,
        what: str,
        *,
        has: Edition | None,
        snapshot: Snapshot | None,
        now: float,
    ) -> Offer:
        """Whether a snapshot is sent now.

        Args:
            router: whose Envoy it is, as namespace/name.
            node: the name of its pod.
            what: the type that it asks for: listeners, clusters or routes.
            has: the edition in force, None for none.
            snapshot: the newest that this replica can say, None for nothing.
            now: seconds of any clock that only goes forward.
        """
        if snapshot is None or (has is not None and has >= snapshot.edition):
            # Asked with a newer one: this replica is behind, and its answer would undo a decision.
            return Offer()
        if has is not None and not snapshot.is_settled:
            return Offer()
        known = self._of(router, node)
        if known.newest != snapshot.edition:
            known.newest, known.newest_since = snapshot.edition, now
        sent = known.sent.get(what)
        if sent is not None and sent.edition == snapshot.edition and now < sent.again_at:
            return Offer(look_again_s=sent.again_at - now)
        if (wait_s := _in_order(known, what, snapshot, now=now)) > 0:
            return Offer(look_again_s=wait_s)
        _note(known, what, snapshot, now=now)
        return Offer(send=True)

    def _of(self, router: str, node: str) -> Known:
        key = (router, node)
        known = self._known.setdefault(key, Known())
        self._known.move_to_end(key)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return known


def _note(known: Known, what: str, snapshot: Snapshot, *, now: float) -> None:
    before = known.sent.get(what)
    again = before is not None and before.edition == snapshot.edition
    times = before.times + 1 if before is not None and again else 1
    pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (times - 1))
    known.sent[what] = Sent(snapshot.edition, times, now + pause_s)
    if what == "clusters":
        known.offered = snapshot.clusters


def _in_order(known: Known, what: str, snapshot: Snapshot, *, now: float) -> float:
    """Seconds to wait: clusters come before the routes that need them, and go after them."""
    left_s, routes = known.newest_since + GRACE_S - now, known.has.get("routes")
    if routes is None or routes >= snapshot.edition:
        # An Envoy that starts asks in the right order by itself.
        return 0.0
    if known.clusters is None:
        lacks = snapshot.needed & snapshot.fresh
        return left_s if what == "routes" and lacks else 0.0
    lacks = snapshot.needed - known.clusters
    if what == "routes":
        return left_s if lacks else 0.0
    loses = known.clusters - snapshot.clusters
    return left_s if what == "clusters" and loses and not lacks else 0.0
