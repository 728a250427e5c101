"""Makes a pod's volumes as folders on disk, which its containers then see where they mount them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.agent import variables

Json = dict[str, Any]
# (audience or "", expiration in seconds) -> token
MakeToken = Callable[[str, int], Awaitable[str]]

# As the kubelet: a token is replaced when four fifths of its life are over.
_REFRESH_AT = 0.8
_TOKEN_LIFE_S = 3600


@dataclass(frozen=True, slots=True)
class Volumes:
    """The volumes of one pod, below one folder."""

    folder: Path
    pod: Json
    fetch: variables.Fetch
    make_token: MakeToken

    def path(self, name: str) -> Path:
        """Where the volume's files are."""
        volume = self._volume(name)
        if "hostPath" in volume:
            return Path(volume["hostPath"]["path"])
        return self.folder / name

    def immutable(self, name: str) -> bool:
        """Whether containers may never write to the volume."""
        return not {"emptyDir", "hostPath"} & self._volume(name).keys()

    def _volume(self, name: str) -> Json:
        volumes: list[Json] = self.pod["spec"]["volumes"]
        return next(v for v in volumes if v["name"] == name)

    async def fill(self) -> None:
        """Make all of them, or bring their files up to date. Raises `variables.ConfigError`."""
        for volume in self.pod["spec"].get("volumes", []):
            files = await self._files(volume)
            folder = self.path(volume["name"])
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                _replace(folder / name, content)

    async def keep_fresh(self) -> None:
        """Never return: rewrite the volumes before their shortest-lived token expires."""
        while True:
            await asyncio.sleep(_REFRESH_AT * self._shortest_life_s())
            await self.fill()

    def _shortest_life_s(self) -> int:
        sources = [
            source["serviceAccountToken"]
            for volume in self.pod["spec"].get("volumes", [])
            for source in volume.get("projected", {}).get("sources", [])
            if "serviceAccountToken" in source
        ]
        return min(
            (s.get("expirationSeconds", _TOKEN_LIFE_S) for s in sources), default=_TOKEN_LIFE_S
        )

    async def _files(self, volume: Json) -> dict[str, bytes]:
        match volume:
            case {"projected": projected}:
                files: dict[str, bytes] = {}
                for source in projected["sources"]:
                    files |= await self._source(source)
                return files
            case {"emptyDir": _} | {"hostPath": _}:
                return {}
            case {"configMap": _} | {"secret": _} | {"downwardAPI": _}:
                return await self._source({k: v for k, v in volume.items() if k != "name"})
            case _:
                kinds = ", ".join(k for k in volume if k != "name")
                raise variables.ConfigError(
                    f"volume {volume['name']!r}: {kinds} is not supported here"
                )

    async def _source(self, source: Json) -> dict[str, bytes]:
        match source:
            case {"configMap": reference}:
                return _chosen(
                    await variables.entries("ConfigMap", reference, fetch=self.fetch), reference
                )
            case {"secret": reference}:
                return _chosen(
                    await variables.entries("Secret", reference, fetch=self.fetch), reference
                )
            case {"downwardAPI": downward}:
                return {
                    item["path"]: variables.field(self.pod, item["fieldRef"]["fieldPath"]).encode()
                    for item in downward.get("items", [])
                }
            case {"serviceAccountToken": token}:
                life_s = token.get("expirationSeconds", _TOKEN_LIFE_S)
                made = await self.make_token(token.get("audience", ""), life_s)
                return {token["path"]: made.encode()}
            case _:
                raise variables.ConfigError(
                    f"volume source {', '.join(source)} is not supported here"
                )


def _chosen(files: dict[str, bytes], reference: Json) -> dict[str, bytes]:
    items = reference.get("items")
    if items is None:
        return files
    missing = [i["key"] for i in items if i["key"] not in files]
    if missing and not reference.get("optional"):
        raise variables.ConfigError(
            f"no key {missing[0]!r} for the volume's item; has: {list(files)}"
        )
    return {i["path"]: files[i["key"]] for i in items if i["key"] in files}


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_bytes() == content:
        return
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)
