"""The node: registers itself, binds pods that have no node, and runs each pod that is bound to it."""

import asyncio
import os
import sys
import traceback
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
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Register, then look after pods for ever."""
        await self._register()
        async for news in self._api.follow("/api/v1/pods"):
            match news:
                case apiserver.Listed(items):
                    present = {item["metadata"]["uid"] for item in items}
                    for uid in self._pods.keys() - present:
                        self._pods[uid].vanish()
                    for item in items:
                        self._see(item)
                case apiserver.Changed(item, deleted=True):
                    if known := self._pods.get(item["metadata"]["uid"]):
                        known.vanish()
                case apiserver.Changed(item):
                    self._see(item)

    def _see(self, item: Json) -> None:
        uid = item["metadata"]["uid"]
        if known := self._pods.get(uid):
            known.update(item)
        elif item["spec"].get("nodeName") == NAME:
            known = self._pods[uid] = pod.Pod(item, self._around)
            known.update(item)
            self._spawn(self._lead(uid, known))
        elif not item["spec"].get("nodeName") and not item["metadata"].get("deletionTimestamp"):
            self._spawn(self._bind(item))

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self, uid: str, known: pod.Pod) -> None:
        try:
            await known.run()
        except Exception:  # one pod's trouble must not end the others; it is loud in the log
            traceback.print_exc(file=sys.stderr)
        finally:
            del self._pods[uid]

    async def _bind(self, item: Json) -> None:
        metadata = item["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding"
        target = {"apiVersion": "v1", "kind": "Node", "name": NAME}
        named = {"name": metadata["name"], "uid": metadata["uid"]}
        try:
            await self._api.post(
                path, {"apiVersion": "v1", "kind": "Binding", "metadata": named, "target": target}
            )
        except apiserver.ApiError as error:
            if error.status not in (404, 409):  # gone, or bound by an earlier event
                raise

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
