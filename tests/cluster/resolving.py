"""Names of Services for whoever asks: the files that send a process to the cluster's name server.

The server itself is part of the node agent (`agent/naming.py`).
"""

import subprocess
from pathlib import Path

from tests.cluster import network

DOMAIN = "cluster.local"


def files(*, namespace: str | None) -> dict[str, str]:
    """The contents of /etc/resolv.conf and /etc/nsswitch.conf, by path.

    In a pod short names mean the pod's own namespace; outside of pods names are written in full.
    """
    search = f"svc.{DOMAIN} {DOMAIN}"
    if namespace:
        search = f"{namespace}.svc.{DOMAIN} {search}"
    dots = 5 if namespace else 1
    return {
        "/etc/resolv.conf": f"search {search}\nnameserver {network.NODE}\noptions ndots:{dots}\n",
        # Whatever resolves names on this machine knows nothing of the cluster.
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }


def use_here(folder: Path) -> None:
    """Let every process of this mount namespace ask the cluster's name server."""
    for name, text in files(namespace=None).items():
        source = folder / Path(name).name
        source.write_text(text)
        if Path(name).exists():
            subprocess.run(["mount", "--bind", source, name], check=True)
