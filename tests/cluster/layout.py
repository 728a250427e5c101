"""Where things lie: the checkout, the user's cache, and the folder of one running cluster."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = Path(__file__).resolve().parent
LAST_LOGS = CHECKOUT / ".local" / "cluster-logs"  # of the last run that did not succeed
PRIVATE = ("/tmp", "/run", "/dev/shm")
"""Folders of which every pod has its own."""


class HiddenError(Exception):
    """Pods could not run what is in this checkout; the message says why."""


def expect_seen() -> None:
    """Raises HiddenError where pods would not see what they are to run."""
    if told := hidden():
        raise HiddenError(told)


def hidden(*, checkout: Path = CHECKOUT, environment: Path = Path(sys.prefix)) -> str:
    """Why pods could not run what is in this checkout, in a sentence; "" when they can."""
    for what, path in (
        ("checkout", checkout),
        ("Python environment", environment.resolve()),
        ("cache", cache_dir().resolve()),
    ):
        for folder in PRIVATE:
            if path.is_relative_to(folder):
                return (
                    f"the {what} lies in {path}, but every pod of the local cluster has a {folder} "
                    "of its own and would not see it: move it elsewhere, such as to your home"
                )
    return ""


def cache_dir() -> Path:
    """The user's cache folder of this project; may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "modelrollout"


@dataclass(frozen=True, slots=True)
class DataDir:
    """The folder of one running cluster. It goes when the cluster goes."""

    root: Path

    @property
    def logs(self) -> Path:
        """Logs of the control plane, and `<namespace>/<pod>/<container>.log` of every container."""
        return self.root / "logs"

    @property
    def etcd(self) -> Path:
        """The data of etcd."""
        return self.root / "etcd"

    @property
    def certificates(self) -> Path:
        """The key and certificates that the apiserver makes for itself."""
        return self.root / "certificates"

    @property
    def authority(self) -> Path:
        """The certificate that every client verifies the apiserver with."""
        return self.root / "ca.crt"

    @property
    def pods(self) -> Path:
        """Volumes and scratch space, by the pods' uid."""
        return self.root / "pods"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for commands that run inside the cluster's network."""
        return self.root / "kubeconfig"

    @property
    def agent_kubeconfig(self) -> Path:
        """The node agent's own, so that the audit log tells it from the administrator."""
        return self.root / "kubeconfig-agent"

    @property
    def outside_kubeconfig(self) -> Path:
        """The administrator's for the machine around it; there only if the cluster is kept up."""
        return self.root / "kubeconfig-outside"

    @property
    def audit_log(self) -> Path:
        """One JSON object per request to the apiserver, with user, verb and resource."""
        return self.logs / "audit.log"

    @property
    def query_log(self) -> Path:
        """One JSON object per query that Prometheus answered."""
        return self.logs / "prometheus-queries.log"

    @property
    def description(self) -> Path:
        """The JSON file that `handle.Cluster.from_environment` reads."""
        return self.root / "cluster.json"

    def create(self) -> None:
        """Make the folders that processes expect to find."""
        for folder in (self.logs, self.etcd, self.certificates, self.pods):
            folder.mkdir(parents=True, exist_ok=True)
