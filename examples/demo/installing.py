"""Installs the project's chart with Helm, in a process of its own: Helm's library is 240 MB."""

import sys
from pathlib import Path

import helm_python as helm

CHART = Path(__file__).resolve().parents[2] / "charts" / "modelrollout"
NAMESPACE = "modelrollout"


def main() -> None:
    """`installing.py NAME=PROMETHEUS_URL ...`: the metric sources that rollouts may name."""
    named = (argument.partition("=") for argument in sys.argv[1:])
    values = {
        "image": {"repository": "modelrollout", "tag": "dev"},
        "sources": [{"name": name, "url": url, "scrapeInterval": "2s"} for name, _, url in named],
    }
    with helm.Config(namespace=NAMESPACE) as config:
        config.install(str(CHART), "modelrollout", values, create_namespace=True)


if __name__ == "__main__":
    main()
