"""What every protocol ends in: the instances of one answer, bounded, each at its declared path.

The core is fed by fronts.
"""

from modelrollout.shadow import jsontext, paths, trouble

MOST_INSTANCES = 10_000
"""Of one answer. A batch job is no shadow traffic."""


def of_list(value: object, *, what: str, at: paths.Path) -> tuple[object, ...]:
    """The instances of an array, each the one value at `at` within its item.

    Raises:
        UnreadableError: `SCHEMA` where it is no array, is empty, or an item has nothing or several
            values there; `TOO_LARGE` above `MOST_INSTANCES`.
    """
    if not isinstance(value, list):
        raise _schema(f"expected {what} to be an array, found {jsontext.kind(value)}")
    return bounded([one(item, at=at) for item in bounded(value, what=what)], what=what)


def bounded(values: list[object], *, what: str) -> tuple[object, ...]:
    """At least one, at most `MOST_INSTANCES`; raises as `of_list` does."""
    if not values:
        raise _schema(f"expected {what} to hold at least one instance, found none")
    if len(values) > MOST_INSTANCES:
        raise trouble.UnreadableError(
            trouble.Trouble.TOO_LARGE,
            f"expected at most {MOST_INSTANCES} instances in {what}, found {len(values)}",
        )
    return tuple(values)


def one(value: object, *, at: paths.Path) -> object:
    """The value at `at`; a plural path gives the list of all it finds.

    Raises:
        UnreadableError: `SCHEMA` where a step finds nothing.
    """
    if not at.steps:
        return value
    here = paths.found(value, at)
    return here if at.is_plural else here[0]


def as_object(value: object, *, what: str) -> dict[str, object]:
    """An object of JSON.

    Raises:
        UnreadableError: `SCHEMA` on anything else.
    """
    if not isinstance(value, dict):
        raise _schema(f"expected {what} to be an object, found {jsontext.kind(value)}")
    return value


def refuse_error(document: dict[str, object]) -> None:
    """Let only answers without a filled `error` through: some servers fail in a status of 200.

    Raises:
        UnreadableError: `ERROR`.
    """
    if document.get("error"):
        raise trouble.UnreadableError(
            trouble.Trouble.ERROR, "expected a prediction, found an error object"
        )


def _schema(detail: str) -> trouble.UnreadableError:
    return trouble.UnreadableError(trouble.Trouble.SCHEMA, detail)
