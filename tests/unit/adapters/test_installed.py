"""Kinds that the cluster has not: asked of the apiserver, remembered only once they are there."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from modelrollout.adapters.installed import Installed
from modelrollout.routing import istio, service_switch, traefik

if TYPE_CHECKING:
    from modelrollout.adapters.apiserver import Apiserver

PATH = "/apis/traefik.io/v1alpha1"


class Discovery:
    """What an apiserver says about its groups."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []

    async def get(self, path: str) -> dict[str, Any] | None:
        self.asked.append(path)
        return self.groups.get(path)


def test_a_kind_that_is_not_there_is_asked_for_again_and_one_that_is_there_is_not() -> None:
    there = Discovery()
    installed = Installed(cast("Apiserver", there))

    def missing() -> object:
        return asyncio.run(installed.first_missing([traefik.SERVICE]))

    assert missing() == traefik.SERVICE
    there.groups[PATH] = {"resources": [{"name": "ingressroutes"}]}
    assert missing() == traefik.SERVICE
    there.groups[PATH]["resources"].append({"name": "traefikservices"})
    assert missing() is None
    assert missing() is None
    assert there.asked == [PATH] * 3


def test_what_every_cluster_has_is_not_asked_for() -> None:
    there = Discovery()
    installed = Installed(cast("Apiserver", there))
    assert asyncio.run(installed.first_missing([service_switch.SERVICE])) is None
    assert there.asked == []


def test_the_first_missing_kind_is_named() -> None:
    there = Discovery()
    installed = Installed(cast("Apiserver", there))
    found = asyncio.run(installed.first_missing([traefik.SERVICE, istio.VIRTUAL_SERVICE]))
    assert found == istio.VIRTUAL_SERVICE
