"""Installs the project's chart with Helm, in a process of its own: Helm's library is 240 MB."""

import sys
from pathlib import Path

import helm_python as helm

CHART = Path(__file__).resolve().parents[2] / "charts" / "modelrollout"
NAMESPACE = "modelrollout"


def main() -> None:
    """`installing.py PROMETHEUS_URL`."""
    values = {
        "image": {"repository": "modelrollout", "tag": "dev"},
        "sources": [{"name": "default", "url": sys.argv[1]}],
    }
    with helm.Config(namespace=NAMESPACE) as config:
        config.install(str(CHART), "modelrollout", values, create_namespace=True)


if __name__ == "__main__":
    main()
