"""Manifests as text with marks: what changes is spliced in, all else stays as people wrote it.

PyYAML tells where each node stands in its file. A change replaces just those characters, so that
comments, order and quoting of everything else survive, which no dump of loaded data would do.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from modelrollout.cli import reading
from modelrollout.cli.failing import Failure

_SEPARATOR: Final = re.compile(r"^(---[ \t]*(?:#.*)?\n)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a text: the characters from `start` to `end` become `text`."""

    start: int
    end: int
    text: str


@dataclass(slots=True)
class Document:
    """One object of a file.

    Attributes:
        separator: the line before it, "" for the first of most files.
        text: as it stands there, with its comments.
        node: its tree, None where there are only comments.
        edits: what is to change in it; spans must not overlap.
        dropped: it is to go.
    """

    separator: str
    text: str
    node: yaml.Node | None
    edits: list[Edit] = field(default_factory=list)
    dropped: bool = False

    @property
    def data(self) -> Any:
        """Its content as plain data."""
        return yaml.safe_load(self.text)

    def is_object(self, kind: str, name: str) -> bool:
        """Whether it is the object of that kind and name."""
        data = self.data
        if not isinstance(data, dict) or data.get("kind") != kind:
            return False
        return bool((data.get("metadata") or {}).get("name") == name)

    def edited(self) -> str:
        """The text with its edits."""
        return spliced(self.text, self.edits)


@dataclass(slots=True)
class File:
    """One file of the folder; `old` is its text before, None for a new one."""

    path: Path
    old: str | None
    documents: list[Document]

    def new(self) -> str | None:
        """Its text after, None when nothing is left in it."""
        kept = [one for one in self.documents if not one.dropped]
        if not any(one.node is not None for one in kept) and len(kept) < len(self.documents):
            return None
        text = "".join(one.separator + one.edited() for one in kept)
        first = kept[0].separator if kept else ""
        started = self.old is not None and _SEPARATOR.match(self.old) is not None
        return text if started else text.removeprefix(first)


def spliced(text: str, edits: Sequence[Edit]) -> str:
    """The text with all edits, last ones first so that positions stay true."""
    for edit in sorted(edits, key=lambda one: (one.start, one.end), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def read(folder: Path) -> list[File]:
    """All YAML files of a folder, by name.

    Raises:
        Failure: when it is no folder, or a file in it is not YAML.
    """
    if not folder.is_dir():
        raise Failure(f"expected a folder with manifests, saw {folder}")
    paths = sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"})
    return [parsed(path, reading.text_of(path)) for path in paths]


def parsed(path: Path, text: str) -> File:
    """One file from its text.

    Raises:
        Failure: when it is not YAML.
    """
    first, *rest = _SEPARATOR.split(text)
    pairs = [("", first), *zip(rest[::2], rest[1::2], strict=True)]
    if not first and rest:
        pairs.pop(0)
    try:
        documents = [Document(line, part, yaml.compose(part)) for line, part in pairs]
    except yaml.YAMLError as problem:
        raise Failure(reading.not_yaml(path, problem)) from None
    return File(path, text, documents)


def child(node: yaml.Node | None, *keys: str | int) -> yaml.Node | None:
    """The node at a path of keys and indices, None where there is none."""
    for key in keys:
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            node = node.value[key] if key < len(node.value) else None
        elif isinstance(node, yaml.MappingNode):
            node = next((value for name, value in node.value if name.value == key), None)
        else:
            return None
    return node


def scalars(node: yaml.Node | None, *, at: str = "") -> Iterator[tuple[str, yaml.ScalarNode]]:
    """Every scalar below a node with its path, such as `spec.containers.0.image`."""
    if isinstance(node, yaml.ScalarNode):
        yield at, node
    elif isinstance(node, yaml.SequenceNode):
        for index, one in enumerate(node.value):
            yield from scalars(one, at=f"{at}.{index}")
    elif isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from scalars(value, at=f"{at}.{name.value}" if at else str(name.value))


def replaced(node: yaml.ScalarNode, value: str) -> Edit:
    """The edit that gives a scalar another value, in the quotes that it has."""
    quote = node.style if node.style in {"'", '"'} else ""
    if not quote and yaml.safe_load(value) != value:
        quote = '"'
    return Edit(node.start_mark.index, node.end_mark.index, f"{quote}{value}{quote}")


def appended(text: str, sequence: yaml.SequenceNode, item: Mapping[str, Any]) -> Edit:
    """The edit that adds an item at the end of a list of mappings, in the style of its last."""
    last = sequence.value[-1]
    flow = yaml.safe_dump(
        dict(item), default_flow_style=True, sort_keys=False, width=10_000
    ).strip()
    if sequence.flow_style:
        return Edit(last.end_mark.index, last.end_mark.index, f", {flow}")
    end = _end_of_line(text, _content_end(last))
    indent = " " * _dash_column(text, last)
    if last.flow_style:
        added = f"{indent}- {flow}\n"
    else:
        lines = yaml.safe_dump(dict(item), sort_keys=False).splitlines()
        added = f"{indent}- " + f"\n{indent}  ".join(lines) + "\n"
    if end and text[end - 1] != "\n":
        added = f"\n{added}"
    return Edit(end, end, added)


def removed(text: str, sequence: yaml.SequenceNode, index: int) -> Edit:
    """The edit that takes one item out of a list with more than one."""
    item = sequence.value[index]
    if sequence.flow_style and index > 0:
        return Edit(sequence.value[index - 1].end_mark.index, item.end_mark.index, "")
    if sequence.flow_style:
        return Edit(item.start_mark.index, sequence.value[1].start_mark.index, "")
    start = text.rfind("\n", 0, item.start_mark.index) + 1
    return Edit(start, _end_of_line(text, _content_end(item)), "")


def _content_end(node: yaml.Node) -> int:
    """Where the last scalar or bracket of a node ends: its own mark lies behind its comments."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _content_end(last[1] if isinstance(last, tuple) else last)


def _end_of_line(text: str, at: int) -> int:
    # A block scalar's end lies at the start of the line after it already.
    if at > 0 and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _dash_column(text: str, item: yaml.Node) -> int:
    start = text.rfind("\n", 0, item.start_mark.index) + 1
    return text.index("-", start) - start


def diff(files: Sequence[File], *, below: Path) -> str:
    """The unified diff of all files, "" when nothing changes."""
    parts: list[str] = []
    for file in files:
        new = file.new()
        if new == file.old:
            continue
        name = file.path.relative_to(below).as_posix()
        parts += difflib.unified_diff(
            (file.old or "").splitlines(keepends=True),
            (new or "").splitlines(keepends=True),
            "/dev/null" if file.old is None else f"a/{name}",
            "/dev/null" if new is None else f"b/{name}",
        )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in parts)


def write(files: Sequence[File]) -> None:
    """Writes what changed, and removes files in which nothing is left.

    Raises:
        Failure: when a file cannot be written.
    """
    try:
        for file in files:
            new = file.new()
            if new is None:
                file.path.unlink()
            elif new != file.old:
                file.path.write_text(new, encoding="utf-8")
    except OSError as problem:
        raise Failure(f"expected to write {file.path}: {problem}") from None
