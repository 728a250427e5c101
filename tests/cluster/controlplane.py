"""Starts a real etcd, kube-apiserver and kube-controller-manager, and waits until they serve."""

import asyncio
import json
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.cluster import access, layout, network, processes
from tests.cluster.build import binaries

PORT = 443
SERVER = f"https://{network.APISERVER}:{PORT}"
TLS_NAME = "kubernetes.default.svc"

_ETCD = "http://127.0.0.1:2379"
_READY_WITHIN_S = 60.0
_CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "endpointslice-controller",
    "job-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",  # the ca.crt of each service-account volume
)
# Metadata of every request of every user: what a test compares with the rights that were granted.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


class NotReadyError(Exception):
    """The apiserver did not become ready in time; the message says what it answered last."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The three processes, seen from the one who starts them."""

    binaries: binaries.Binaries
    data: layout.DataDir
    users: dict[str, access.User]
    running: processes.Processes

    async def start(self) -> None:
        """Start all three; return when the apiserver is ready. Some 4 s.

        Raises `NotReadyError`.
        """
        await self._start_etcd()
        await self._start_apiserver()
        await asyncio.wait_for(self._certificate(), _READY_WITHIN_S)
        self._write_kubeconfigs()
        await self._ready()
        await self._start_controllers()

    async def _start_etcd(self) -> None:
        # Nothing here has to survive a power cut, so nothing waits for the disk.
        await self.running.start(
            "etcd",
            [
                self.binaries.etcd,
                "--unsafe-no-fsync",
                f"--data-dir={self.data.etcd}",
                f"--listen-client-urls={_ETCD}",
                f"--advertise-client-urls={_ETCD}",
                "--log-level=warn",
            ],
        )

    async def _start_apiserver(self) -> None:
        tokens = self.data.root / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(access.token_file(self.users))
        policy = self.data.root / "audit-policy.json"
        policy.write_text(json.dumps(_AUDIT_POLICY))
        # The apiserver makes its serving key itself when there is none, before it reads the others:
        # so the same key can sign service-account tokens, and no tool for making keys is needed.
        key = self.data.certificates / "apiserver.key"
        await self.running.start(
            "kube-apiserver",
            [
                self.binaries.apiserver,
                f"--etcd-servers={_ETCD}",
                f"--secure-port={PORT}",
                f"--advertise-address={network.NODE}",
                f"--cert-dir={self.data.certificates}",
                f"--service-cluster-ip-range={network.SERVICES}",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--token-auth-file={tokens}",
                "--authorization-mode=RBAC",
                "--allow-privileged=true",
                f"--audit-policy-file={policy}",
                f"--audit-log-path={self.data.audit_log}",
            ],
        )

    async def _start_controllers(self) -> None:
        config = self.data.root / "kubeconfig-controllers"
        await self.running.start(
            "kube-controller-manager",
            [
                self.binaries.controller_manager,
                f"--kubeconfig={config}",
                f"--root-ca-file={self.data.authority}",
                "--use-service-account-credentials",
                "--leader-elect=false",
                f"--controllers={','.join(_CONTROLLERS)}",
            ],
        )

    async def _certificate(self) -> None:
        chain = self.data.certificates / "apiserver.crt"
        # The key is written after the certificate.
        while not (self.data.certificates / "apiserver.key").exists():  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.05)
        self.data.authority.write_text(access.issuer_of(chain))

    def _write_kubeconfigs(self) -> None:
        for name, path in (
            ("admin", self.data.kubeconfig),
            ("agent", self.data.agent_kubeconfig),
            ("controllers", self.data.root / "kubeconfig-controllers"),
        ):
            _write_private(
                path,
                access.kubeconfig(self.users[name], server=SERVER, authority=self.data.authority),
            )

    async def _ready(self) -> None:
        trust = ssl.create_default_context(cafile=str(self.data.authority))
        said = "nothing"
        try:
            async with (
                asyncio.timeout(_READY_WITHIN_S),
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
            ):
                while said != "ok":
                    said = await _ask(session)
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise NotReadyError(
                f"the apiserver was not ready within {_READY_WITHIN_S:.0f} s; it said: {said}"
            ) from None


async def _ask(session: aiohttp.ClientSession) -> str:
    try:
        async with session.get(f"{SERVER}/readyz") as answer:
            return await answer.text()
    except aiohttp.ClientError as error:
        return str(error)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
