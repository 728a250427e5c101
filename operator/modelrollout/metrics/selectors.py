"""Selectors: parsed strictly, so that matchers are added as data and never as text."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATOR: Final = re.compile(r"=~|!~|!=|=")
_SPACE: Final = re.compile(r"\s*")
_STRING: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'')
_BEYOND_RE2: Final = re.compile(r"(?<!\\)(?:\\\\)*(\(\?(?:=|!|<=|<!|P=|\(|>|#)|\\[1-9])")
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPES: Final = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}


class SelectorError(ValueError):
    """A text that is no plain selector; the message says where it stops being one."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label: `label operator "value"`."""

    label: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric name and its matchers."""

    name: str
    matchers: tuple[Matcher, ...] = ()

    def __str__(self) -> str:
        inside = ",".join(str(matcher) for matcher in self.matchers)
        return f"{self.name}{{{inside}}}" if inside else self.name

    def with_matchers(self, more: tuple[Matcher, ...]) -> "Selector":
        """The same, with further matchers."""
        return Selector(self.name, (*self.matchers, *more))

    def named(self, name: str) -> "Selector":
        """The same matchers on another metric."""
        return Selector(name, self.matchers)


def equal(labels: Mapping[str, str]) -> tuple[Matcher, ...]:
    """Matchers that each label has its value, in the order of the labels."""
    return tuple(Matcher(label, "=", value) for label, value in sorted(labels.items()))


def quoted(value: str) -> str:
    """A string as PromQL writes it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@lru_cache(maxsize=4096)
def parsed(text: str) -> Selector:
    """The selector that a text is.

    Args:
        text: such as `http_requests_total{code=~"5.."}`.

    Raises:
        SelectorError: when it is anything else: an expression, a broken matcher, a bad regex.
    """
    position = _skip(text, 0)
    name = _NAME.match(text, position)
    if name is None:
        _refuse(text, position, "the name of a metric")
    position = _skip(text, name.end())
    matchers: list[Matcher] = []
    if position < len(text) and text[position] == "{":
        matchers, position = _matchers(text, position + 1)
        position = _skip(text, position)
    if position != len(text):
        _refuse(text, position, "the end of the selector")
    return Selector(name.group(), tuple(matchers))


def _matchers(text: str, position: int) -> tuple[list[Matcher], int]:
    found: list[Matcher] = []
    while True:
        position = _skip(text, position)
        if text[position : position + 1] == "}":
            return found, position + 1
        matcher, position = _matcher(text, position)
        found.append(matcher)
        position = _skip(text, position)
        if text[position : position + 1] == ",":
            position += 1
        elif text[position : position + 1] != "}":
            _refuse(text, position, "`,` or `}`")


def _matcher(text: str, position: int) -> tuple[Matcher, int]:
    label = _LABEL.match(text, position)
    if label is None:
        _refuse(text, position, "a label")
    position = _skip(text, label.end())
    operator = _OPERATOR.match(text, position)
    if operator is None:
        _refuse(text, position, "one of = != =~ !~")
    position = _skip(text, operator.end())
    string = _STRING.match(text, position)
    if string is None:
        _refuse(text, position, "a value in quotes")
    raw = string.group(1) if string.group(1) is not None else string.group(2)
    value = _ESCAPE.sub(lambda found: _unescaped(text, found), raw)
    if operator.group() in {"=~", "!~"}:
        check_regex(value)
    return Matcher(label.group(), operator.group(), value), string.end()


def check_regex(pattern: str) -> None:
    """Passes for a regular expression that Python, too, can read.

    Raises:
        SelectorError: otherwise, and for what Python has beyond Prometheus (RE2).
    """
    beyond = _BEYOND_RE2.search(pattern)
    if beyond is not None:
        raise SelectorError(
            f"{pattern!r} has {beyond.group()!r}, which Prometheus does not know: write it without "
            "looking around or back"
        )
    try:
        with warnings.catch_warnings():
            # Python will read nested sets in another way one day; Prometheus has classes there.
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(pattern)
    except re.error as problem:
        raise SelectorError(f"{pattern!r} is no regular expression: {problem}") from problem


def _unescaped(text: str, found: "re.Match[str]") -> str:
    letter = found.group(1)
    if letter not in _ESCAPES:
        raise SelectorError(f"unknown escape \\{letter} in {text!r}: write \\\\{letter}")
    return _ESCAPES[letter]


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _refuse(text: str, position: int, expected: str) -> NoReturn:
    seen = text[position : position + 20] or "the end"
    raise SelectorError(f"expected {expected} at character {position + 1}, found {seen!r}")
