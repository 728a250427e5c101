"""What tests, the demo and benchmarks know of the cluster they run in, and the few things they do.

Made from the environment that `python -m tests.cluster run` gives to its command, so that the same
code runs on any other cluster too.
"""

import json
import os
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DESCRIPTION = "MODELROLLOUT_CLUSTER"


class NoClusterError(Exception):
    """The environment names no cluster; the message says how to get one."""


class KubectlError(Exception):
    """kubectl failed; the message holds the arguments and what it said."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster. The logs are None where it is not ours (a foreign `KUBECONFIG`)."""

    kubeconfig: Path
    kubectl_path: Path
    prometheus_url: str
    gateway_url: str
    audit_log: Path | None = None
    query_log: Path | None = None
    logs_dir: Path | None = None
    outside_ports: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> "Cluster":
        """The cluster of this process; raises `NoClusterError` outside of one."""
        path = os.environ.get(DESCRIPTION)
        if not path:
            raise NoClusterError(
                f"${DESCRIPTION} is not set: run this by `python -m tests.cluster run -- CMD`"
            )
        return cls.from_json(Path(path).read_text())

    @classmethod
    def from_json(cls, text: str) -> "Cluster":
        """The reverse of `to_json`."""
        fields: dict[str, Any] = json.loads(text)
        paths = ("kubeconfig", "kubectl_path", "audit_log", "query_log", "logs_dir")
        return cls(**fields | {name: Path(fields[name]) for name in paths if fields[name]})

    def to_json(self) -> str:
        """A JSON object with this class's fields; paths as strings."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(fields, indent=1, default=str)

    def environment(self) -> dict[str, str]:
        """Variables for a command that shall use this cluster with any Kubernetes tool."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": f"{self.kubectl_path.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            DESCRIPTION: str(self.kubeconfig.with_name("cluster.json")),
        }

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 60.0) -> str:
        """What kubectl prints; raises `KubectlError` with what it said when it fails."""
        done = subprocess.run(
            [self.kubectl_path, f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, manifests: str, *, namespace: str | None = None) -> None:
        """Apply YAML on the server's side; unknown fields are an error."""
        where = ("-n", namespace) if namespace else ()
        self.kubectl(
            "apply", "--server-side", "--validate=strict", *where, "-f", "-", stdin=manifests
        )

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get ... -o json` as a dict."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def wait_for(
        self, condition: str, *what: str, namespace: str = "default", timeout_s: float = 60.0
    ) -> None:
        """`kubectl wait --for=<condition> <what>`; raises `KubectlError` if it does not happen."""
        arguments = ("wait", f"--for={condition}", f"--timeout={timeout_s:.0f}s", "-n", namespace)
        self.kubectl(*arguments, *what, timeout_s=timeout_s + 10)

    def query(self, promql: str) -> list[dict[str, Any]]:
        """What Prometheus answers to an instant query, now."""
        body = urllib.parse.urlencode({"query": promql}).encode()
        with urllib.request.urlopen(f"{self.prometheus_url}/api/v1/query", body, 10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def logs(self, namespace: str, pod: str, container: str) -> str:
        """Everything a container has printed, over all its restarts; empty before its start."""
        if not self.logs_dir:
            return self.kubectl("logs", "-n", namespace, pod, "-c", container)
        path = self.logs_dir / namespace / pod / f"{container}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def usage(self) -> str:
        """How a person on the machine around the cluster uses it; needs `outside_ports`."""
        ports = self.outside_ports
        outside = self.kubeconfig.with_name("kubeconfig-outside")
        return (
            "the cluster stays up until Ctrl-C. In another terminal:\n"
            f"    export KUBECONFIG={outside} PATH={self.kubectl_path.parent}:$PATH\n"
            "    kubectl get pods -A\n"
            f"    Prometheus: http://127.0.0.1:{ports['prometheus']}\n"
            f"    gateway:    http://127.0.0.1:{ports['gateway']}   (routes go by Host)\n"
            f"    logs:       {self.logs_dir}/<namespace>/<pod>/<container>.log"
        )
