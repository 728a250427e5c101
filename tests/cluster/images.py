"""The one table that says what an image name stands for here: a Python environment or a binary.

Nothing is pulled. A container started from an image of this table is a process on this machine that
sees the machine's files read-only, with the image's folders first in its PATH.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster import layout
from tests.cluster.build import environments, recipes


class UnknownImageError(Exception):
    """No row of the table fits, or its environment is not built; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a container of this image finds, before its own `command` and `env`."""

    entrypoint: tuple[str, ...] = ()
    path: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


_PYTHON = Path(sys.prefix) / "bin"
_SOURCES = {"PYTHONPATH": str(layout.CHECKOUT / "operator")}
_CHECKOUT = Image(
    path=(_PYTHON,),
    env={"PYTHONPATH": f"{layout.CHECKOUT / 'operator'}{os.pathsep}{layout.CHECKOUT}"},
)


def find(reference: str) -> Image:
    """The row for an image reference such as `registry.example/team/modelrollout:dev`.

    Only the last part of the path and the tag count. Raises `UnknownImageError` with a sentence for
    the user.
    """
    name = reference.split("@", maxsplit=1)[0].rsplit("/", 1)[-1]
    match name.split(":")[0]:
        case "modelrollout" | "modelrollout-demo" | "python":
            return _CHECKOUT
        case "traefik":
            return Image(entrypoint=(str(_PYTHON / "traefik"),))
        case "envoy":
            return Image(entrypoint=(str(_PYTHON / "envoy"),), path=(_PYTHON,))
        case "prometheus":
            folder = recipes.PROMETHEUS.cached
            return Image(entrypoint=(str(folder / "prometheus"),), path=(folder,))
        case "observer" | "modelrollout-observer":
            return Image(path=_third_party("observer").path, env=_SOURCES)
        case server if server in environments.KNOWN:
            return _third_party(server)
        case _:
            raise UnknownImageError(
                f"image {reference!r} is not in the table of tests/cluster/images.py: "
                "add a row that names its Python environment or binary"
            )


def _third_party(name: str) -> Image:
    folder = environments.folder(name)
    if not folder.exists():
        raise UnknownImageError(
            f"the environment of image {name!r} is not built: start the cluster with "
            f"`--image {name}`, or build it with `python -m tests.cluster build --image {name}`"
        )
    return Image(path=(folder / "bin",))
