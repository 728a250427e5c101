"""The routers as far as this process has to do with them: settings, tokens, serving, asking."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from modelrollout.adapters.apiserver import ApiError, Apiserver, path_to
from modelrollout.adapters.envoys import Envoys
from modelrollout.adapters.informed import Informed
from modelrollout.adapters.keys import Keys
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.controller.config import Config
from modelrollout.controller.queue import Key
from modelrollout.routing.contract import Change, Reference, Rollout, Site
from modelrollout.routing.router import (
    answers,
    credentials,
    naming,
    provider,
    snapshot,
    takeover,
)
from modelrollout.xds.serving import Discovery
from modelrollout.xds.shelf import Shelf

log = logging.getLogger(__name__)

Json = Mapping[str, Any]

_ROUTER: Final = provider.Router()


class Routers:
    """One replica's part in all routers."""

    def __init__(
        self,
        config: Config,
        apiserver: Apiserver,
        informed: Informed,
        *,
        took_over: Callable[[Key], None],
    ) -> None:
        self._settings, self._apiserver = config.router, apiserver
        self._keys = Keys(
            apiserver, namespace=config.lease.namespace, name=f"{config.lease.name}-router"
        )
        self._envoys = Envoys(informed)
        self.shelf = Shelf()
        self._discovery = Discovery(self.shelf, keyring=self._key, took_over=took_over)

    async def start(self) -> None:
        """Answers Envoys, where the administrator has switched the router on.

        Raises:
            OSError: when the port is taken.
        """
        if self._settings is not None:
            await self._discovery.start(self._settings.port)

    async def stop(self) -> None:
        """Answers nobody any more."""
        await self._discovery.stop()
        await self._envoys.close()

    async def site(self, key: Key, spec: ModelRolloutSpec) -> Site:
        """What the administrator decided for the router of a rollout.

        Raises:
            ApiError: when the operator's key can neither be read nor made.
        """
        asked = self._settings
        if asked is None or spec.traffic.router is None:
            return Site()
        secret = await self._keys.current()
        if secret is None:
            raise ApiError(0, "NoKey", "the key of the routers cannot be read yet")
        return Site(
            image=asked.image,
            xds=asked.xds,
            token=credentials.token(secret, namespace=key[0], name=key[1]),
            pull_secrets=asked.pull_secrets,
        )

    async def answers(self, rollout: Rollout) -> dict[Reference, dict[str, Any]]:
        """What the Envoys of a rollout say, as `read` and `render` take it.

        Raises:
            ApiError: when the apiserver does not say where they are.
        """
        if rollout.spec.traffic.router is None or not rollout.site.image:
            return {}
        told = await self._envoys.ask(rollout.namespace, naming.name_of(rollout))
        return {answers.reference(rollout): {"answers": told}}

    async def left(self, rollout: Rollout) -> Sequence[Change]:
        """The writes for a rollout that has another provider by now.

        A Service that was taken over is given back, and the router goes. Where clients call the
        router's own Service it stays, as it is: it would be their only door.

        Raises:
            ApiError: when the apiserver refuses or does not answer.
        """
        if self._settings is None or rollout.spec.traffic.router is not None:
            return ()
        there = await self._apiserver.get(path_to(naming.reference(rollout, naming.DEPLOYMENT)))
        old = provider.before(rollout, there)
        if old is None or takeover.called(old) is None:
            return ()
        wanted = _ROUTER.needs(old)
        found = await asyncio.gather(*(self._apiserver.get(path_to(one)) for one in wanted))
        live = {one: body for one, body in zip(wanted, found, strict=True) if body is not None}
        return _ROUTER.remove(old, live)

    def retained(
        self, rollout: Rollout, status: ModelRolloutStatus, live: Mapping[Reference, Json]
    ) -> Sequence[Change]:
        """The writes for a rollout that goes while its router stays."""
        if rollout.spec.traffic.router is None or not status.decision.shares:
            return ()
        wanted = snapshot.wanted(
            rollout.spec, status, namespace=rollout.namespace, name=rollout.name
        )
        return provider.retained(wanted, rollout, live)

    async def _key(self) -> bytes | None:
        try:
            return await self._keys.current()
        except ApiError as problem:
            log.warning("the key of the routers cannot be read: %s", problem)
            return None
