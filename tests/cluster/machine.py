"""The first process inside the namespaces: brings everything up, runs the command, takes it down.

Taking down is easy: when this process ends, the kernel ends every other one in the namespace.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from tests.cluster import (
    access,
    addons,
    controlplane,
    doors,
    handle,
    isolation,
    layout,
    network,
    processes,
    resolving,
    stopping,
)
from tests.cluster.build import binaries, progress

FAILED = 70  # the status of `run` when the cluster itself failed

_INTERRUPT_GRACE_S = 15.0
_TERMINATE_GRACE_S = 10.0
_GATEWAY = doors.Target("traefik.gateways.svc.cluster.local", 8000)
_PROMETHEUS = doors.Target("prometheus.monitoring.svc.cluster.local", 9090)
_DOORS = {
    "apiserver": doors.Target(str(network.APISERVER), controlplane.PORT),
    "gateway": _GATEWAY,
    "prometheus": _PROMETHEUS,
}


def main() -> None:
    """Entry of the inside; the request is the only argument."""
    sys.exit(asyncio.run(_run(isolation.Request.from_json(sys.argv[1]))))


async def _run(request: isolation.Request) -> int:
    stop = stopping.Stop(request.lifeline)
    data = layout.DataDir(Path(request.data))
    running = processes.Processes(data.logs)
    try:
        cluster = await stopping.unless_stopped(
            _bring_up(request, data, running), stop=stop, running=running
        )
        return await _use(request, cluster, stop, running)
    except stopping.StoppedError as stopped:
        return 128 + stopped.number
    except (processes.ProcessDiedError, controlplane.NotReadyError, addons.AddonError) as error:
        progress.say(f"the cluster failed: {error}")
        return FAILED


async def _bring_up(
    request: isolation.Request, data: layout.DataDir, running: processes.Processes
) -> handle.Cluster:
    started = time.monotonic()
    programs = binaries.ensure()
    await asyncio.to_thread(network.set_up_machine)
    resolving.use_here(data.root)
    plane = controlplane.ControlPlane(programs, data, access.make_users(), running)
    await plane.start()
    agent = ["-m", "tests.cluster.agent", str(data.root)]
    await running.start(
        "node-agent",
        [sys.executable, *agent],
        env={**os.environ, "PYTHONPATH": str(layout.CHECKOUT)},
    )
    await addons.install(programs, data)
    cluster = await _describe(request, data, programs)
    progress.say(f"ready after {time.monotonic() - started:.1f} s")
    return cluster


async def _describe(
    request: isolation.Request, data: layout.DataDir, programs: binaries.Binaries
) -> handle.Cluster:
    ports = await doors.serve(request.doors, _DOORS)
    if ports:
        _write_outside_kubeconfig(data, ports["apiserver"])
    cluster = handle.Cluster(
        kubeconfig=data.kubeconfig,
        kubectl_path=programs.kubectl,
        prometheus_url=f"http://{_PROMETHEUS.host}:{_PROMETHEUS.port}",
        gateway_url=f"http://{_GATEWAY.host}:{_GATEWAY.port}",
        audit_log=data.audit_log,
        query_log=data.query_log,
        logs_dir=data.logs,
        outside_ports=ports,
    )
    data.description.write_text(cluster.to_json())
    return cluster


def _write_outside_kubeconfig(data: layout.DataDir, port: int) -> None:
    inside = data.kubeconfig.read_text()
    data.outside_kubeconfig.touch(mode=0o600)
    data.outside_kubeconfig.write_text(
        access.redirected(
            inside, server=f"https://127.0.0.1:{port}", tls_server_name=controlplane.TLS_NAME
        )
    )


async def _use(
    request: isolation.Request,
    cluster: handle.Cluster,
    stop: stopping.Stop,
    running: processes.Processes,
) -> int:
    status = 0
    if request.command:
        status = await _command(request, cluster, stop, running)
    if request.keep:
        progress.say(cluster.usage())
        await stopping.unless_stopped(asyncio.Event().wait(), stop=stop, running=running)
    return status


async def _command(
    request: isolation.Request,
    cluster: handle.Cluster,
    stop: stopping.Stop,
    running: processes.Processes,
) -> int:
    command = await asyncio.create_subprocess_exec(
        *request.command, env={**os.environ, **cluster.environment()}
    )
    try:
        status = await stopping.unless_stopped(command.wait(), stop=stop, running=running)
    except stopping.StoppedError as stopped:
        await _end(command, interrupted=stopped.number == signal.SIGINT)
        raise
    except processes.ProcessDiedError:
        await _end(command, interrupted=False)
        raise
    return status if status >= 0 else 128 - status


async def _end(command: asyncio.subprocess.Process, *, interrupted: bool) -> None:
    # Ctrl-C reached the command as well, which may be tidying up already.
    if interrupted and await _ended(command, _INTERRUPT_GRACE_S):
        return
    command.terminate()
    await _ended(command, _TERMINATE_GRACE_S)


async def _ended(command: asyncio.subprocess.Process, within_s: float) -> bool:
    try:
        await asyncio.wait_for(command.wait(), within_s)
    except TimeoutError:
        return False
    return True
