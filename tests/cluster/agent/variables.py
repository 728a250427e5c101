"""The environment of a container: values, references to other objects, and $(NAME) expansion."""

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.cluster.agent import apiserver

Json = dict[str, Any]
Fetch = Callable[[str, str], Awaitable[Json]]

_REFERENCE = re.compile(r"\$\$|\$\(([^()$\s]+)\)")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(Exception):
    """The manifest refers to something that is not there; the message says to what."""


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """`text` with $(NAME) replaced; unknown names stay as they are, and $$ means $."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)


def field(pod: Json, path: str) -> str:
    """The downward API: one field of the pod. Raises `ConfigError` for a path it does not know."""
    if match := _SUBSCRIPT.fullmatch(path):
        return str(pod["metadata"].get(match[1], {}).get(match[2], ""))
    status = pod.get("status", {})
    known = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "metadata.uid": pod["metadata"]["uid"],
        "spec.nodeName": pod["spec"].get("nodeName"),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName"),
        "status.podIP": status.get("podIP"),
        "status.podIPs": status.get("podIP"),
        "status.hostIP": status.get("hostIP"),
    }
    if path not in known:
        raise ConfigError(f"fieldPath {path!r} is not supported; known: {', '.join(known)}")
    return str(known[path] or "")


def data_of(item: Json) -> dict[str, bytes]:
    """The entries of a ConfigMap or Secret as bytes."""
    if item["kind"] == "Secret":
        return {k: base64.b64decode(v) for k, v in (item.get("data") or {}).items()}
    plain = {k: v.encode() for k, v in (item.get("data") or {}).items()}
    binary = {k: base64.b64decode(v) for k, v in (item.get("binaryData") or {}).items()}
    return plain | binary


async def of_container(pod: Json, container: Json, *, fetch: Fetch) -> dict[str, str]:
    """The variables the manifest gives to a container, in order, each seeing those before it.

    `fetch(kind, name)` reads a ConfigMap or Secret of the pod's namespace. Raises `ConfigError`.
    """
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= await _all_of(source, fetch)
    for entry in container.get("env", []):
        value = await _value(pod, entry, found, fetch)
        if value is not None:
            found[entry["name"]] = value
    return found


async def entries(kind: str, reference: Json, *, fetch: Fetch) -> dict[str, bytes]:
    """All entries of the object that `reference` names; none if it is optional and absent."""
    name = reference.get("name") or reference.get("secretName")
    try:
        return data_of(await fetch(kind, str(name)))
    except apiserver.ApiError as error:
        if error.status == 404 and reference.get("optional"):
            return {}
        raise ConfigError(f"{kind} {name!r}: {error}") from error


async def _all_of(source: Json, fetch: Fetch) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for field_name, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        if reference := source.get(field_name):
            found = await entries(kind, reference, fetch=fetch)
            return {f"{prefix}{name}": value.decode() for name, value in found.items()}
    return {}


async def _value(pod: Json, entry: Json, known: Mapping[str, str], fetch: Fetch) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return expanded(entry.get("value", ""), known)
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"])
    for field_name, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if reference := source.get(field_name):
            return await _key(kind, reference, fetch)
    raise ConfigError(f"env {entry['name']!r}: {', '.join(source)} is not supported here")


async def _key(kind: str, reference: Json, fetch: Fetch) -> str | None:
    found = await entries(kind, reference, fetch=fetch)
    if reference["key"] in found:
        return found[reference["key"]].decode()
    if reference.get("optional"):
        return None
    raise ConfigError(f"{kind} {reference['name']!r} has no key {reference['key']!r}")
