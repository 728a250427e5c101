"""Entry of the node agent: `python -m tests.cluster.agent DATA_DIR`."""

import asyncio
import sys
from pathlib import Path

import aiohttp

from tests.cluster import layout, network
from tests.cluster.agent import apiserver, naming, node, pod


async def main(data: layout.DataDir) -> None:
    """Run the node and the name server until killed; the first error ends both."""
    api = apiserver.Api.from_kubeconfig(data.agent_kubeconfig)
    # Each probe is a connection of its own, as the kubelet's are.
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(connector=connector) as probes, asyncio.TaskGroup() as tasks:
        around = pod.Surroundings(api, data, probes, network.pod_addresses())
        tasks.create_task(node.Node(around).run())
        tasks.create_task(naming.serve(api))


asyncio.run(main(layout.DataDir(Path(sys.argv[1]))))
