"""Builds the demo's stage: CRD and operator by the project's own chart, models, labels, rollout."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from examples.demo import training
from examples.demo.streams import NAMESPACE, ROLLOUT
from tests.cluster.handle import Cluster

CHECKOUT: Final = Path(__file__).resolve().parents[2]
MANIFESTS: Final = Path(__file__).resolve().parent / "manifests"
OPERATOR_NAMESPACE: Final = "modelrollout"


def install_operator(cluster: Cluster) -> None:
    """Install the chart, as a user does, and wait until the operator is ready."""
    command = [
        sys.executable,
        "-m",
        "examples.demo.installing",
        f"default={cluster.prometheus_url}",
    ]
    subprocess.run(command, check=True, env=_environment(cluster), timeout=180)
    cluster.wait_for(
        "condition=Available", "deployment", "--all", namespace=OPERATOR_NAMESPACE, timeout_s=90
    )


def _environment(cluster: Cluster) -> dict[str, str]:
    import os

    return os.environ | cluster.environment()


def deploy(cluster: Cluster) -> None:
    """Deploy the five models and the labels' process, and wait until all of them are ready."""
    for name in ("models", "labels"):
        cluster.apply((MANIFESTS / f"{name}.yaml").read_text(encoding="utf-8"))
    cluster.wait_for(
        "condition=Available", "deployment", "--all", namespace=NAMESPACE, timeout_s=120
    )


def begin(cluster: Cluster) -> None:
    """Create the ModelRollout; its first target serves at once."""
    cluster.apply((MANIFESTS / "rollout.yaml").read_text(encoding="utf-8"))
    cluster.wait_for(
        "condition=Ready", f"modelrollout/{ROLLOUT}", namespace=NAMESPACE, timeout_s=60
    )


def retarget(cluster: Cluster, version: str) -> None:
    """The one-line change of a release."""
    patch = f'{{"spec": {{"target": "{version}"}}}}'
    cluster.kubectl(
        *("patch", f"modelrollout/{ROLLOUT}", "-n", NAMESPACE, "--type=merge", "-p", patch)
    )


def measured() -> list[str]:
    """What each model is and how often it is wrong on images it has never seen."""
    lines = []
    for version, recipe in training.RECIPES.items():
        wrong = training.wrong_share(training.train(version))
        lines.append(f"{version:<4} {wrong:6.1%} wrong   {recipe.summary}")
    return lines
