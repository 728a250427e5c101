"""Which kinds the cluster has: an absent object is something else than an absent kind."""

from collections.abc import Iterable
from typing import Final

from modelrollout.adapters.apiserver import Apiserver
from modelrollout.routing.contract import Kind

_CORE: Final = ""


class Installed:
    """Kinds that were found once are not asked for again; others are, since they may come."""

    def __init__(self, apiserver: Apiserver) -> None:
        self._apiserver = apiserver
        self._found: set[Kind] = set()

    async def first_missing(self, kinds: Iterable[Kind]) -> Kind | None:
        """The first of these kinds that the apiserver does not serve; None when it serves all.

        Raises:
            ApiError: when the apiserver refuses or does not answer.
        """
        wanted = set(kinds) - self._found
        for kind in sorted(wanted, key=lambda one: (one.group, one.plural)):
            if kind.group != _CORE and not await self._serves(kind):
                return kind
            self._found.add(kind)
        return None

    async def _serves(self, kind: Kind) -> bool:
        listed = await self._apiserver.get(f"/apis/{kind.group}/{kind.version}")
        served = (listed or {}).get("resources") or ()
        return any(one.get("name") == kind.plural for one in served)
