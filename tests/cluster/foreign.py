"""A cluster that is there already: `KUBECONFIG` names it, and nothing is built or started.

Its Prometheus and its gateway cannot be guessed, and tests create and delete objects in it, so both
addresses must be given on purpose.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.handle import DESCRIPTION, Cluster

PROMETHEUS = "MODELROLLOUT_PROMETHEUS_URL"
GATEWAY = "MODELROLLOUT_GATEWAY_URL"


class ForeignClusterError(Exception):
    """`KUBECONFIG` is set, and the rest is not; the message says what to set."""


def named(environment: Mapping[str, str]) -> Cluster | None:
    """The cluster that the environment names, None when it names none.

    Raises:
        ForeignClusterError: when it names one and not where its gateway and Prometheus are.
    """
    kubeconfig = environment.get("KUBECONFIG")
    if not kubeconfig or DESCRIPTION in environment:
        return None
    missing = [name for name in (PROMETHEUS, GATEWAY) if not environment.get(name)]
    if missing:
        raise ForeignClusterError(
            f"KUBECONFIG names a cluster ({kubeconfig}): set {' and '.join(missing)} to use it "
            "for the tests, which create and delete objects in it, or unset KUBECONFIG to use a "
            "local one"
        )
    return Cluster(
        kubeconfig=Path(kubeconfig).absolute(),
        kubectl_path=Path(sysconfig.get_path("scripts")) / "kubectl",
        prometheus_url=environment[PROMETHEUS],
        gateway_url=environment[GATEWAY],
    )


def run(cluster: Cluster, command: Sequence[str]) -> int:
    """Runs a command with that cluster; gives its exit status."""
    with tempfile.TemporaryDirectory(prefix="modelrollout-cluster-") as folder:
        description = Path(folder) / "cluster.json"
        description.write_text(cluster.to_json())
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        environment = {**os.environ, DESCRIPTION: str(description), "PATH": path}
        return subprocess.run(command, env=environment, check=False).returncode
