"""`modelrollout release`: the next version as files, made from the present one; no cluster.

The present version is the target. Its Deployment and Service are copied with another name, other
labels and another image; the rollout's list gets the new version, and the target becomes it. The
oldest version goes, with its objects, unless it serves or is the present one: who serves is known
only to the cluster, so `stable` says it where that is not the present target.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelrollout.api import scalars
from modelrollout.api.spec import ModelRolloutSpec, ServiceBackend, Version
from modelrollout.cli import manifests, reading
from modelrollout.cli.failing import Failure
from modelrollout.cli.manifests import Document, Edit, File

_LABELS = re.compile(
    r"^(metadata\.labels|spec\.selector(\.matchLabels)?|spec\.template\.metadata\.labels)\.[^.]"
)
_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for; "" where it is left to us.

    Attributes:
        image: of the new version.
        name: of the new version.
        container: whose image changes.
        rollout: which ModelRollout of the folder.
        stable: the version that serves, when it is not the present target.
        keep: no version is dropped.
    """

    image: str
    name: str = ""
    container: str = ""
    rollout: str = ""
    stable: str = ""
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """All files of the folder with their changes, and what people should know of them."""

    files: Sequence[File]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Renaming:
    """From the present version's names to the new one's, where they stand as a whole word."""

    old: str
    new: str

    def has(self, text: str) -> bool:
        return self._word.search(text) is not None

    def of(self, text: str) -> str:
        return self._word.sub(self.new, text)

    def name(self, text: str) -> str:
        """The new name of an object: at most 63 characters."""
        renamed = self.of(text) if self.has(text) else f"{text}-{self.new}"
        if len(renamed) > _LONGEST_NAME:
            raise Failure(f"expected a name of at most 63 characters, made {renamed}: use --name")
        return renamed

    @property
    def _word(self) -> re.Pattern[str]:
        return re.compile(rf"(?<![A-Za-z0-9]){re.escape(self.old)}(?![A-Za-z0-9])")


def release(folder: Path, asked: Asked) -> Release:
    """The folder with the next version in it; nothing is written yet.

    Raises:
        Failure: when the folder has not what is needed, or the new version could not be told from
            the present one.
    """
    files = manifests.read(folder)
    document = _rollout(files, asked.rollout)
    spec = reading.spec(document.data, of=str(folder))
    present = _version(spec, spec.target, option="spec.target")
    renaming = _Renaming(present.name, asked.name or _next_name(spec))
    _check_name(spec, renaming.new)
    service = _find(files, "Service", _service(present).name)
    if present.workload is None:
        raise Failure(
            f"expected version {present.name} to name its workload: add it to the rollout"
        )
    workload = _find(files, present.workload.kind, present.workload.name)
    copies = [
        _copy(workload[1], renaming, image=_image(workload[1], asked)),
        _copy(service[1], renaming),
    ]
    _check_selectors(workload[1], service[1], copies)
    dropped = None if asked.keep else _dropped(spec, asked)
    _edit_rollout(document, spec, present, renaming=renaming, dropped=dropped)
    notes = [note for copy in copies for note in _left(copy, renaming)]
    new = _placed(files, [workload, service], copies, renaming)
    if dropped is not None:
        notes += _drop_objects(files, spec, dropped)
    return Release([*files, *new], [*notes, *_kustomized(files, new)])


def _rollout(files: Sequence[File], name: str) -> Document:
    found = [
        one
        for file in files
        for one in file.documents
        if isinstance(one.data, dict) and one.data.get("kind") == "ModelRollout"
    ]
    if name:
        found = [one for one in found if one.is_object("ModelRollout", name)]
    if len(found) != 1:
        which = f"ModelRollout {name}" if name else "ModelRollout"
        more = ": choose one with --rollout" if len(found) > 1 else ""
        raise Failure(f"expected one {which} among the files, found {len(found)}{more}")
    return found[0]


def _find(files: Sequence[File], kind: str, name: str) -> tuple[File, Document]:
    found = [(file, one) for file in files for one in file.documents if one.is_object(kind, name)]
    if len(found) != 1:
        raise Failure(f"expected one {kind} {name} among the files, found {len(found)}")
    return found[0]


def _version(spec: ModelRolloutSpec, name: str, *, option: str) -> Version:
    for version in spec.versions:
        if version.name == name:
            return version
    names = ", ".join(version.name for version in spec.versions)
    raise Failure(f"{option}: expected one of {names}, saw {name}")


def _next_name(spec: ModelRolloutSpec) -> str:
    found = re.fullmatch(r"(.*?)([0-9]+)", spec.target)
    if found is None:
        raise Failure(f"{spec.target} does not end in a number: name the new version with --name")
    stem = found.group(1)
    numbers = [
        int(version.name.removeprefix(stem))
        for version in spec.versions
        if re.fullmatch(rf"{re.escape(stem)}[0-9]+", version.name)
    ]
    return f"{stem}{max(numbers) + 1}"


def _check_name(spec: ModelRolloutSpec, name: str) -> None:
    if not re.fullmatch(scalars.NAME, name) or len(name) > _LONGEST_NAME:
        raise Failure(f"--name: expected lowercase letters, digits and dashes, saw {name}")
    if any(version.name == name for version in spec.versions):
        raise Failure(f"the rollout has a version {name} already: choose another --name")


def _image(document: Document, asked: Asked) -> Edit:
    containers = manifests.child(document.node, "spec", "template", "spec", "containers")
    known = containers.value if isinstance(containers, yaml.SequenceNode) else []
    names = [_text(one, "name") for one in known]
    if not asked.container and len(known) != 1:
        raise Failure(
            f"expected one container, found {len(known)} ({', '.join(names)}): choose --container"
        )
    if asked.container and asked.container not in names:
        raise Failure(f"--container: expected one of {', '.join(names)}, saw {asked.container}")
    chosen = known[names.index(asked.container)] if asked.container else known[0]
    image = manifests.child(chosen, "image")
    if not isinstance(image, yaml.ScalarNode):
        raise Failure("expected the container to have an image")
    if image.value == asked.image:
        raise Failure(f"the present version runs {asked.image} already: nothing to release")
    return manifests.replaced(image, asked.image)


def _text(node: yaml.Node, key: str) -> str:
    found = manifests.child(node, key)
    return str(found.value) if found is not None else ""


def _copy(document: Document, renaming: _Renaming, *, image: Edit | None = None) -> Document:
    """The same object for the new version: its name, its labels and selectors, its image."""
    edits = [image] if image is not None else []
    for path, node in manifests.scalars(document.node):
        if path == "metadata.name":
            edits.append(manifests.replaced(node, renaming.name(node.value)))
        elif _LABELS.match(path) and renaming.has(node.value):
            edits.append(manifests.replaced(node, renaming.of(node.value)))
    text = manifests.spliced(document.text, edits)
    return Document(document.separator, text, yaml.compose(text))


def _check_selectors(workload: Document, service: Document, copies: Sequence[Document]) -> None:
    """The new Service must not take the present pods, nor the new Deployment own them."""
    for old, new, path in (
        (workload, copies[0], ("spec", "selector", "matchLabels")),
        (service, copies[1], ("spec", "selector")),
    ):
        before, after = _at(old.data, *path), _at(new.data, *path)
        if before == after:
            kind = old.data["kind"]
            raise Failure(
                f"the selector of {kind} {old.data['metadata']['name']} ({before}) names no "
                f"version, so it would take the pods of both: add a label such as version"
            )


def _at(data: Any, *path: str) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _left(copy: Document, renaming: _Renaming) -> list[str]:
    """Places that still speak of the present version: not ours to guess at."""
    name = f"{copy.data['kind']} {copy.data['metadata']['name']}"
    if renaming.has(renaming.new):
        return []  # from v2 to v2-fix: every mention of the new name would look like the old one
    return [
        f"{name}: {path} still says {node.value!r}"
        for path, node in manifests.scalars(copy.node)
        if renaming.has(node.value) and not path.endswith(".image")
    ]


def _edit_rollout(
    document: Document,
    spec: ModelRolloutSpec,
    present: Version,
    *,
    renaming: _Renaming,
    dropped: str | None,
) -> None:
    versions = manifests.child(document.node, "spec", "versions")
    target = manifests.child(document.node, "spec", "target")
    if not isinstance(versions, yaml.SequenceNode) or not isinstance(target, yaml.ScalarNode):
        raise Failure("expected spec.versions to be a list and spec.target a name")
    document.edits.append(manifests.appended(document.text, versions, _entry(present, renaming)))
    document.edits.append(manifests.replaced(target, renaming.new))
    if dropped is not None:
        index = [version.name for version in spec.versions].index(dropped)
        document.edits.append(manifests.removed(document.text, versions, index))


def _entry(present: Version, renaming: _Renaming) -> dict[str, Any]:
    """The new version in the list. `info` tells where the present one came from: it stays there."""
    entry: dict[str, Any] = {
        "name": renaming.new,
        "service": {
            "name": renaming.name(_service(present).name),
            "port": _service(present).port,
        },
    }
    if present.workload is not None:
        given = present.workload.model_dump(exclude_unset=True)
        entry["workload"] = given | {"name": renaming.name(present.workload.name)}
    return entry


def _service(version: Version) -> ServiceBackend:
    if version.service is None:
        raise Failure(
            f"expected version {version.name} to name its service, found "
            f"{' '.join(version.backend)}: copy its manifests by hand and add the new version to "
            "the rollout"
        )
    return version.service


def _dropped(spec: ModelRolloutSpec, asked: Asked) -> str | None:
    """The oldest version that neither serves nor is the present target."""
    if asked.stable:
        _version(spec, asked.stable, option="--stable")
    kept = {spec.target, asked.stable}
    return next((one.name for one in spec.versions if one.name not in kept), None)


def _drop_objects(files: Sequence[File], spec: ModelRolloutSpec, dropped: str) -> list[str]:
    version = _version(spec, dropped, option="dropped")
    others = [one for one in spec.versions if one.name != dropped]
    wanted = [version.backend]
    if version.workload is not None and version.workload not in [one.workload for one in others]:
        wanted.append((version.workload.kind, version.workload.name))
    for file in files:
        for one in file.documents:
            one.dropped = one.dropped or any(one.is_object(*pair) for pair in wanted)
    return [f"{dropped} is dropped: expected that it does not serve; say --stable if it does"]


def _placed(
    files: Sequence[File],
    sources: Sequence[tuple[File, Document]],
    copies: Sequence[Document],
    renaming: _Renaming,
) -> list[File]:
    """Puts the copies behind their models, or in files of their own where those are named so."""
    new: dict[Path, File] = {}
    for (file, _), copy in zip(sources, copies, strict=True):
        path = file.path.with_stem(renaming.of(file.path.stem))
        if path == file.path:
            _behind(file, copy)
        elif path in {one.path for one in files}:
            raise Failure(f"{path} exists already: remove it, or choose another --name")
        elif path in new:
            _behind(new[path], copy)
        else:
            copy.separator = ""
            new[path] = File(path, None, [copy])
    return list(new.values())


def _behind(file: File, copy: Document) -> None:
    last = file.documents[-1]
    if not last.text.endswith("\n"):
        end = len(last.text)
        last.edits.append(Edit(end, end, "\n"))
    copy.separator = copy.separator or "---\n"
    file.documents.append(copy)


def _kustomized(files: Sequence[File], new: Sequence[File]) -> list[str]:
    """A kustomization lists files by name: whoever keeps it must add the new ones."""
    changed = [file.path.name for file in new]
    changed += [file.path.name for file in files if file.new() is None]
    kustomization = [one.path.name for one in files if one.path.stem == "kustomization"]
    if not kustomization or not changed:
        return []
    return [f"{kustomization[0]} lists files by name: bring {', '.join(changed)} up to date there"]
