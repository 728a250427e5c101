"""JSON Pointer with two wildcards."""

import pytest

from modelrollout.shadow import paths, trouble

# The document and the pointers of RFC 6901, section 5.
RFC = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("", RFC), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1),
        ("/c%d", 2), ("/e^f", 3), ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8),
    ],
)  # fmt: skip
def test_finds_what_the_rfc_says(pointer: str, expected: object) -> None:
    path = paths.Path.of(pointer)
    assert paths.found(RFC, path) == [expected]
    assert str(path) == pointer


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/[]/x", [1, 2]),
        ("/a/*/x", [1, 2]),
        ("/b/*", [3, 4]),
        ("/a/1/x", [2]),
    ],
)
def test_wildcards_find_all_in_order(path: str, expected: list[object]) -> None:
    value = {"a": [{"x": 1}, {"x": 2}], "b": {"p": 3, "q": 4}}
    assert paths.found(value, paths.Path.of(path)) == expected


@pytest.mark.parametrize("path", ["/a/x", "/a/2", "/a/-1", "/a/01x", "/b/[]", "/c", "/a/0/x/y"])
def test_a_step_into_nothing_breaks_the_schema(path: str) -> None:
    value = {"a": [{"x": 1}, {"x": 2}], "b": {}}
    with pytest.raises(trouble.UnreadableError) as raised:
        paths.found(value, paths.Path.of(path))
    assert raised.value.problem.kind is trouble.Trouble.SCHEMA


@pytest.mark.parametrize("broken", ["a/b", "$.a", "/a~", "/a~2"])
def test_a_broken_path_is_refused_with_a_sentence(broken: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        paths.Path.of(broken)


@pytest.mark.parametrize(
    ("pattern", "place", "expected"),
    [
        ("/a", ("a",), True),
        ("/a", ("a", "b", "[]"), True),
        ("/a/b", ("a",), False),
        ("/a/[]/b", ("a", "[]", "b"), True),
        ("/*/b", ("a", "b"), True),
        ("/a/[]", ("a", "b"), False),
        ("", ("x",), True),
    ],
)
def test_a_pattern_covers_what_lies_at_or_below_it(
    pattern: str, place: tuple[str, ...], expected: object
) -> None:
    assert paths.covers(paths.Path.of(pattern), place) is expected
