"""What is built from Go modules, with which flags, and where the result lies in the cache.

The versions are pinned by `<name>/go.mod` and `<name>/go.sum`, by hash. A change of either, or of a
flag, gives a new folder in the cache; nothing there is ever overwritten.
"""

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import layout

RECIPES = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class GoRecipe:
    """Commands of one Go module of ours, which pins theirs."""

    name: str
    packages: tuple[str, ...]
    package_count: int  # of `go list -deps`: the 100 % of the progress line
    minutes: int  # on two cores, from nothing
    tags: str = ""
    ldflags: str = "-s -w"

    @property
    def folder(self) -> Path:
        """Where its go.mod is."""
        return RECIPES / self.name

    @property
    def binaries(self) -> tuple[str, ...]:
        """Names of the finished files."""
        return tuple(package.rsplit("/", 1)[-1] for package in self.packages)

    @property
    def cached(self) -> Path:
        """The folder in the cache that holds, or will hold, the finished binaries."""
        return layout.cache_dir() / f"{self.name}-{self._fingerprint()}"

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            digest.update((self.folder / name).read_bytes())
        digest.update(repr((self.packages, self.tags, self.ldflags, platform.machine())).encode())
        return digest.hexdigest()[:16]


# Without the version, feature gates and `kubectl version` would see v0.0.0.
_VERSION = "k8s.io/component-base/version"

KUBERNETES = GoRecipe(
    name="kubernetes",
    packages=(
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    package_count=2449,
    minutes=9,
    ldflags=(
        f"-s -w -X {_VERSION}.gitVersion=v1.37.2 -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=37"
    ),
)

PROMETHEUS = GoRecipe(
    name="prometheus",
    packages=(
        "github.com/prometheus/prometheus/cmd/prometheus",
        "github.com/prometheus/prometheus/cmd/promtool",
    ),
    package_count=1300,
    minutes=3,
    tags="remove_all_sd,enable_kubernetes_sd",
    ldflags="-s -w -X github.com/prometheus/common/version.Version=3.15.0",
)

PILOT = GoRecipe(
    name="pilot",
    packages=("istio.io/istio/pilot/cmd/pilot-discovery",),
    package_count=1763,
    minutes=12,
)


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """A folder of a Go module that is data: taken from the module's archive, never compiled."""

    name: str
    inside: str
    only: str = "*"  # which files of the folder

    @property
    def pinned(self) -> tuple[str, str, str]:
        """Module path, version and hash, from `<name>.sum`."""
        path, version, digest = (RECIPES / f"{self.name}.sum").read_text().split()
        return path, version, digest

    @property
    def cached(self) -> Path:
        """The folder in the cache that holds, or will hold, the data."""
        asked = (*self.pinned, *((self.inside, self.only) if self.only != "*" else ()))
        digest = hashlib.sha256("".join(asked).encode()).hexdigest()[:16]
        return layout.cache_dir() / f"{self.name}-{digest}"


GATEWAY_API = DataRecipe(name="gatewayapi", inside="config/crd/standard")
TRAEFIK = DataRecipe(
    name="traefik",
    inside="docs/content/reference/dynamic-configuration",
    only="kubernetes-crd-definition-v1.yml",
)
INFERENCE = DataRecipe(
    name="inference", inside="config/crd/bases", only="inference.networking.k8s.io_*.yaml"
)
ISTIO = DataRecipe(name="istio", inside="kubernetes", only="customresourcedefinitions.gen.yaml")
