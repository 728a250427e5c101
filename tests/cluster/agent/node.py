"""The node: registers itself, binds pods that have no node, and runs those bound to it."""

import asyncio
import contextlib
import os
from datetime import UTC, datetime
from typing import Any

from tests.cluster import network
from tests.cluster.agent import apiserver, pod, status

Json = dict[str, Any]

NAME = "local"


class Node:
    """All pods of the one node."""

    def __init__(self, around: pod.Surroundings) -> None:
        self._around = around
        self._api = around.api
        self._pods: dict[str, pod.Pod] = {}

    async def run(self) -> None:
        """Register, then look after pods for ever."""
        await self._register()
        async with asyncio.TaskGroup() as tasks:
            async for news in self._api.follow("/api/v1/pods"):
                self._hear(news, tasks)

    def _hear(self, news: apiserver.Listed | apiserver.Changed, tasks: asyncio.TaskGroup) -> None:
        match news:
            case apiserver.Listed(items):
                present = {item["metadata"]["uid"] for item in items}
                for uid in self._pods.keys() - present:
                    self._pods[uid].vanish()
                for item in items:
                    self._see(item, tasks)
            case apiserver.Changed(item, deleted=True):
                if known := self._pods.get(item["metadata"]["uid"]):
                    known.vanish()
            case apiserver.Changed(item):
                self._see(item, tasks)

    def _see(self, item: Json, tasks: asyncio.TaskGroup) -> None:
        uid = item["metadata"]["uid"]
        if known := self._pods.get(uid):
            known.update(item)
        elif item["spec"].get("nodeName") == NAME:
            known = self._pods[uid] = pod.Pod(item, self._around)
            known.update(item)
            tasks.create_task(self._lead(uid, known))
        elif not item["spec"].get("nodeName") and not item["metadata"].get("deletionTimestamp"):
            tasks.create_task(self._bind(item))

    async def _lead(self, uid: str, known: pod.Pod) -> None:
        # What a pod cannot handle is a defect of the agent: it ends the agent, and so the cluster.
        await known.run()
        del self._pods[uid]

    async def _bind(self, item: Json) -> None:
        metadata = item["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding"
        target = {"apiVersion": "v1", "kind": "Node", "name": NAME}
        named = {"name": metadata["name"], "uid": metadata["uid"]}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": named, "target": target}
        with contextlib.suppress(apiserver.ApiError):  # gone, or bound by an earlier event
            await self._api.post(path, binding)

    async def _register(self) -> None:
        labels = {"kubernetes.io/hostname": NAME, "kubernetes.io/os": "linux"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME, "labels": labels}}
        await self._api.post("/api/v1/nodes", node)
        now = status.stamp(datetime.now(UTC))
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "AgentReady",
            "message": "the node agent of the local cluster runs",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        room = {"cpu": str(os.cpu_count()), "memory": "16Gi", "pods": "1000"}
        await self._api.patch(
            f"/api/v1/nodes/{NAME}/status",
            {
                "status": {
                    "conditions": [ready],
                    "capacity": room,
                    "allocatable": room,
                    "addresses": [{"type": "InternalIP", "address": str(network.NODE)}],
                }
            },
        )
