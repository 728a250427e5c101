"""OpenAI's chat and completions, whole or streamed, as vLLM, TGI and others serve them.

An instance is one choice: `{"text", "refusal", "finish_reason", "tool_calls"}`. The core is fed by
fronts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from modelrollout.shadow import answers, jsontext, trouble
from modelrollout.shadow.protocols import events, instances

_STREAM = "text/event-stream"
_DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class OpenAI:
    """Both endpoints and both ways to answer are told apart by the answer; nothing to declare."""


@dataclass(slots=True)
class _Choice:
    """One choice while its parts come in."""

    text: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    finish: str | None = None
    tools: dict[int, dict[str, list[str]]] = field(default_factory=dict)

    def take(self, part: dict[str, object]) -> None:
        """Add a whole message, a delta, or a completion's text."""
        content = part.get("content", part.get("text"))
        _append(self.text, content)
        _append(self.refusal, part.get("refusal"))
        calls = part.get("tool_calls")
        for number, call in enumerate(calls if isinstance(calls, list) else ()):
            self._take_call(instances.as_object(call, what="a tool call"), number)

    def _take_call(self, call: dict[str, object], number: int) -> None:
        at = call.get("index", number)
        function = instances.as_object(call.get("function"), what="a tool call's function")
        if type(at) is not int:
            raise _schema("expected the index of a tool call to be a whole number, found another")
        known = self.tools.setdefault(at, {"name": [], "arguments": []})
        for key in known:
            piece = function.get(key)
            if isinstance(piece, str):
                known[key].append(piece)

    def value(self) -> dict[str, object]:
        """What the tasks read; ids of tool calls are left out, they differ always."""
        return {
            "text": "".join(self.text),
            "refusal": "".join(self.refusal),
            "finish_reason": self.finish,
            "tool_calls": [
                {key: "".join(pieces) for key, pieces in self.tools[at].items()}
                for at in sorted(self.tools)
            ],
        }


def read(answer: answers.Answer, *, most_bytes: int) -> tuple[object, ...]:
    """One value per choice, by its index.

    Raises:
        UnreadableError: any class but `NAN` and those of fronts; `UNPARSEABLE` on a stream that
            was cut, `ERROR` on one that ends in an error.
    """
    answers.refuse_failed(answer)
    body = answers.unpacked(answer, most_bytes=most_bytes)
    text = answers.as_text(body, charset=answer.charset)
    choices: dict[int, _Choice] = {}
    if answer.media_type == _STREAM:
        _take_stream(events.data_of(text), choices)
    else:
        _take_chunk(jsontext.parsed(text), choices)
    return instances.bounded([choices[at].value() for at in sorted(choices)], what="/choices")


def _take_stream(stream: Iterable[str], choices: dict[int, _Choice]) -> None:
    for data in stream:
        if data == _DONE:
            return
        _take_chunk(jsontext.parsed(data), choices)
    if not choices or any(choice.finish is None for choice in choices.values()):
        raise trouble.UnreadableError(
            trouble.Trouble.UNPARSEABLE, f"expected a stream up to {_DONE}, found its beginning"
        )


def _take_chunk(value: object, choices: dict[int, _Choice]) -> None:
    document = instances.as_object(value, what="the answer")
    instances.refuse_error(document)
    found = document.get("choices")
    if found is None and "usage" in document:
        return  # the last chunk of some servers holds the usage alone
    if not isinstance(found, list):
        raise _schema(f"expected /choices to be an array, found {jsontext.kind(found)}")
    for number, item in enumerate(found):
        choice = instances.as_object(item, what="a choice")
        at = choice.get("index", number)
        if type(at) is not int or not 0 <= at < instances.MOST_INSTANCES:
            raise _schema("expected the index of a choice to be a small number, found another")
        _take_choice(choice, choices.setdefault(at, _Choice()))


def _take_choice(choice: dict[str, object], into: _Choice) -> None:
    part = choice.get("message", choice.get("delta", choice))
    into.take(instances.as_object(part, what="a choice's message"))
    finish = choice.get("finish_reason")
    if isinstance(finish, str):
        into.finish = finish


def _append(pieces: list[str], piece: object) -> None:
    if piece is None:
        return
    if not isinstance(piece, str):
        raise _schema(f"expected text in a choice, found {jsontext.kind(piece)}")
    pieces.append(piece)


def _schema(detail: str) -> trouble.UnreadableError:
    return trouble.UnreadableError(trouble.Trouble.SCHEMA, detail)
