"""From a manifest to the plan of one container: image, environment, mounts, files of its own."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import controlplane, images, layout, network, resolving
from tests.cluster.agent import container, variables, volumes

Json = dict[str, Any]

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SCRATCH = "/tmp"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod's containers are started."""

    folder: Path
    address: str
    network: Path
    data: layout.DataDir


async def plan(
    pod: Json, manifest: Json, *, place: Place, filled: volumes.Volumes
) -> container.Plan:
    """How to start the container `manifest` of `pod`, whose volumes are `filled`.

    Raises `images.UnknownImageError` and `variables.ConfigError`, which may pass by themselves.
    """
    image = images.find(manifest["image"])
    metadata = pod["metadata"]
    located = pod | {"status": {"podIP": place.address, "hostIP": str(network.NODE)}}
    given = await variables.of_container(located, manifest, fetch=filled.fetch)
    env = _surrounding_variables(pod, image) | given
    command = manifest.get("command") or image.entrypoint
    words = [variables.expanded(word, env) for word in (*command, *manifest.get("args", []))]
    if not words:
        raise variables.ConfigError(
            f"container {manifest['name']!r}: neither it nor its image has a command"
        )
    folder = place.folder / "containers" / manifest["name"]
    log = place.data.logs / metadata["namespace"] / metadata["name"] / f"{manifest['name']}.log"
    return container.Plan(
        argv=words,
        env=env,
        cwd=manifest.get("workingDir", _SCRATCH),
        hostname=metadata["name"][:63],
        mounts=[*_files(pod, place, folder), *_mounts(manifest, filled)],
        network=place.network,
        folder=folder,
        log=log,
    )


def _surrounding_variables(pod: Json, image: images.Image) -> dict[str, str]:
    path = os.pathsep.join([*map(str, image.path), _DEFAULT_PATH])
    return {
        "PATH": path,
        "HOME": _SCRATCH,
        "HOSTNAME": pod["metadata"]["name"],
        "KUBERNETES_SERVICE_HOST": str(network.APISERVER),
        "KUBERNETES_SERVICE_PORT": str(controlplane.PORT),
        "KUBERNETES_SERVICE_PORT_HTTPS": str(controlplane.PORT),
        **image.env,
    }


def _files(pod: Json, place: Place, folder: Path) -> list[container.Mount]:
    """The few files below /etc that every pod has of its own."""
    name = pod["metadata"]["name"]
    texts = resolving.files(namespace=pod["metadata"]["namespace"])
    texts["/etc/hosts"] = f"127.0.0.1 localhost\n::1 localhost\n{place.address} {name}\n"
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for target, text in texts.items():
        source = folder / Path(target).name
        source.write_text(text)
        made.append(container.Mount(source, target, read_only=True))
    return made


def _mounts(manifest: Json, filled: volumes.Volumes) -> list[container.Mount]:
    return [
        container.Mount(
            source=filled.path(mount["name"]) / mount.get("subPath", ""),
            target=mount["mountPath"],
            read_only=mount.get("readOnly", False) or filled.immutable(mount["name"]),
        )
        for mount in manifest.get("volumeMounts", [])
    ]
