"""Installs what a cluster needs around the operator: resource definitions, Traefik, Prometheus.

All of them are ordinary manifests, applied through the apiserver and run as pods with service
accounts of their own, as on any cluster.
"""

import asyncio
import string
from pathlib import Path

from tests.cluster import layout
from tests.cluster.build import binaries

_MANIFESTS = Path(__file__).resolve().parent
_READY_WITHIN_S = 60


class AddonError(Exception):
    """An add-on could not be applied or did not become ready; the message is kubectl's."""


async def install(programs: binaries.Binaries, data: layout.DataDir) -> None:
    """Apply everything and wait until it serves. Raises `AddonError`."""
    kubectl = _Kubectl(programs.kubectl, data.kubeconfig)
    await asyncio.gather(
        *(kubectl.apply(folder) for folder in programs.definitions),
        kubectl.apply(_rendered("prometheus.yaml", data)),
        kubectl.apply(_rendered("traefik.yaml", data)),
    )
    await kubectl.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    await kubectl.apply(_rendered("gateway.yaml", data))
    wait = ("wait", f"--timeout={_READY_WITHIN_S}s")
    await asyncio.gather(
        kubectl.run(*wait, "--for=condition=Available", "deployment", "-A", "--all"),
        kubectl.run(*wait, "--for=condition=Programmed", "-n", "gateways", "gateway", "public"),
    )


class _Kubectl:
    def __init__(self, path: Path, kubeconfig: Path) -> None:
        self._command = (str(path), f"--kubeconfig={kubeconfig}")

    async def apply(self, manifests: Path | str) -> None:
        apply = ("apply", "--server-side", "--validate=strict", "-f")
        if isinstance(manifests, Path):
            await self.run(*apply, str(manifests))
        else:
            await self.run(*apply, "-", stdin=manifests)

    async def run(self, *arguments: str, stdin: str = "") -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate(stdin.encode())
        if process.returncode:
            raise AddonError(f"kubectl {' '.join(arguments)}: {said.decode(errors='replace')}")


def _rendered(name: str, data: layout.DataDir) -> str:
    # The query log must be readable outside of the pod: its folder is the one thing that varies.
    return string.Template((_MANIFESTS / name).read_text()).substitute(LOGS=data.logs)
