"""Installs the project's chart with Helm, in a process of its own: Helm's library is 240 MB."""

import sys
from pathlib import Path

import helm_python as helm

CHART = Path(__file__).resolve().parents[2] / "charts" / "modelrollout"
NAMESPACE = "modelrollout"


def main() -> None:
    """`installing.py [PROVIDER ...] NAME=PROMETHEUS_URL ...`.

    Which providers of traffic rollouts may name beside the Gateway API, and which metric sources.
    """
    named = [argument.partition("=") for argument in sys.argv[1:]]
    values = {
        "providers": {name: True for name, equals, _ in named if not equals},
        "image": {"repository": "modelrollout", "tag": "dev"},
        "smokeTests": {"enabled": True},
        "shadow": {"enabled": True, "image": "modelrollout-observer:dev"},
        "sources": [
            {"name": name, "url": url, "scrapeInterval": "2s"}
            for name, equals, url in named
            if equals
        ],
    }
    with helm.Config(namespace=NAMESPACE) as config:
        config.install(str(CHART), "modelrollout", values, create_namespace=True)


if __name__ == "__main__":
    main()
