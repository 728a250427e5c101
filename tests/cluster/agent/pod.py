"""Leads one pod through its life: network, volumes, containers, reports, and the end."""

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

import aiohttp

from tests.cluster import layout, network
from tests.cluster.agent import (
    apiserver,
    container,
    lifecycle,
    probing,
    restarting,
    starting,
    status,
    variables,
    volumes,
)

Json = dict[str, Any]

_RETRY_S = 1.0
_PLURALS = {"ConfigMap": "configmaps", "Secret": "secrets"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all pods of the node share."""

    api: apiserver.Api
    data: layout.DataDir
    probes: aiohttp.ClientSession
    addresses: Iterator[IPv4Address]


class Pod:
    """One pod. `run` returns when nothing of it is left."""

    def __init__(self, manifest: Json, around: Surroundings) -> None:
        self.manifest = manifest
        self._around = around
        self._api = around.api
        self._started = datetime.now(UTC)
        self._changed = asyncio.Event()
        self._ending = asyncio.Event()
        self._forced = False
        self._policy = restarting.Policy(manifest["spec"]["restartPolicy"])
        self._grace_s: float = manifest["spec"]["terminationGracePeriodSeconds"]
        folder = around.data.pods / manifest["metadata"]["uid"]
        self._network = network.PodNetwork(folder / "network", address=next(around.addresses))
        self._place = starting.Place(
            folder, str(self._network.address), self._network.file, around.data
        )
        self._volumes = volumes.Volumes(folder / "volumes", manifest, self._fetch, self._make_token)
        self._init = [
            self._lifecycle(c, init=True) for c in manifest["spec"].get("initContainers", [])
        ]
        self._containers = [self._lifecycle(c, init=False) for c in manifest["spec"]["containers"]]

    def update(self, manifest: Json) -> None:
        """Take note of a change of the object; a deletion begins the pod's end."""
        self.manifest = manifest
        if manifest["metadata"].get("deletionTimestamp"):
            self._grace_s = manifest["metadata"].get("deletionGracePeriodSeconds", self._grace_s)
            self._ending.set()

    def vanish(self) -> None:
        """The object is gone: end at once."""
        self._grace_s, self._forced = 0, True
        self._ending.set()

    async def run(self) -> None:
        """Live until deleted; then end in order and let the object go."""
        try:
            self._place.folder.mkdir(parents=True)
            await asyncio.to_thread(self._network.create)
            async with asyncio.TaskGroup() as tasks:
                reporting = tasks.create_task(self._report_changes())
                living = tasks.create_task(self._live())
                await self._ending.wait()
                living.cancel()
                await asyncio.wait([living])
                await self._end_containers()
                reporting.cancel()
        finally:
            await asyncio.to_thread(self._clean_up)
        if not self._forced:
            await self._let_go()

    async def _live(self) -> None:
        await self._fill_volumes()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_volumes_fresh())
            for each in self._init:
                await each.run()
                if not each.succeeded:
                    return
            for each in self._containers:
                tasks.create_task(each.run())

    async def _end_containers(self) -> None:
        everyone = [*self._init, *self._containers]
        await asyncio.gather(*(each.end(grace_s=self._grace_s) for each in everyone))

    async def _fill_volumes(self) -> None:
        while True:
            try:
                await self._volumes.fill()
            except (variables.ConfigError, apiserver.ApiError) as error:
                for each in (*self._init, *self._containers):
                    each.wait_for(str(error))
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _keep_volumes_fresh(self) -> None:
        while True:
            with contextlib.suppress(
                variables.ConfigError, apiserver.ApiError, aiohttp.ClientError
            ):
                await self._volumes.keep_fresh()
            await asyncio.sleep(_RETRY_S)

    def _lifecycle(self, manifest: Json, *, init: bool) -> lifecycle.Lifecycle:
        # An init container that has succeeded is done, even in a pod that always restarts.
        always = self._policy is restarting.Policy.ALWAYS
        return lifecycle.Lifecycle(
            manifest,
            policy=restarting.Policy.ON_FAILURE if init and always else self._policy,
            grace_s=self._grace_s,
            plan=lambda: starting.plan(
                self.manifest, manifest, place=self._place, filled=self._volumes
            ),
            prober=lambda process: self._prober(manifest, process),
            changed=self._changed.set,
        )

    def _prober(self, manifest: Json, process: container.Container) -> probing.Prober:
        ports = probing.ports_of(manifest)
        return probing.Prober(self._around.probes, self._place.address, ports, process.execute)

    async def _fetch(self, kind: str, name: str) -> Json:
        found = await self._api.get(f"{self._namespace_path}/{_PLURALS[kind]}/{name}")
        return found | {"kind": kind}

    async def _make_token(self, audience: str, life_s: int) -> str:
        metadata, account = self.manifest["metadata"], self.manifest["spec"]["serviceAccountName"]
        bound = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        spec: Json = {"expirationSeconds": life_s, "boundObjectRef": bound}
        if audience:
            spec["audiences"] = [audience]
        made = await self._api.post(
            f"{self._namespace_path}/serviceaccounts/{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )
        return str(made["status"]["token"])

    async def _report_changes(self) -> None:
        reported: Json = self.manifest.get("status", {})
        while True:
            self._changed.clear()
            wanted = self._seen().to_json(previous=reported, now=datetime.now(UTC))
            if wanted != reported and await self._report(wanted):
                reported = wanted
            if wanted == reported:
                await self._changed.wait()

    async def _report(self, wanted: Json) -> bool:
        uid = {"uid": self.manifest["metadata"]["uid"]}
        try:
            await self._api.patch(f"{self._path}/status", {"metadata": uid, "status": wanted})
        except apiserver.ApiError as error:
            return error.status in (404, 409)  # the object is gone: nobody is left to tell
        except (aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(_RETRY_S)
            return False
        return True

    def _seen(self) -> status.Pod:
        return status.Pod(
            policy=self._policy,
            containers=[each.shown for each in self._containers],
            init=[each.shown for each in self._init],
            address=self._place.address,
            node_address=str(network.NODE),
            started=self._started,
        )

    async def _let_go(self) -> None:
        uid = self.manifest["metadata"]["uid"]
        await self._report(self._seen().to_json(previous={}, now=datetime.now(UTC)))
        with contextlib.suppress(apiserver.ApiError):
            await self._api.delete(
                self._path, {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
            )

    def _clean_up(self) -> None:
        self._network.destroy()
        shutil.rmtree(self._place.folder, ignore_errors=True)

    @property
    def _namespace_path(self) -> str:
        return f"/api/v1/namespaces/{self.manifest['metadata']['namespace']}"

    @property
    def _path(self) -> str:
        return f"{self._namespace_path}/pods/{self.manifest['metadata']['name']}"
