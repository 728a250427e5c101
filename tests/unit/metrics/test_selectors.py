"""Selectors: what is one, what is not, and that nothing escapes its quotes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.metrics import selectors
from modelrollout.metrics.selectors import Matcher, Selector, SelectorError

labels = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
values = st.text(st.characters(codec="utf-8"), max_size=12)
plain = st.builds(Matcher, labels, st.sampled_from(["=", "!="]), values)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("up", Selector("up")),
        (" up { } ", Selector("up")),
        ('a:b{x="1"}', Selector("a:b", (Matcher("x", "=", "1"),))),
        (
            "a{x='1', y!~\"2|3\",}",
            Selector("a", (Matcher("x", "=", "1"), Matcher("y", "!~", "2|3"))),
        ),
        ('a{x="q\\"q\\\\n\\n"}', Selector("a", (Matcher("x", "=", 'q"q\\n\n'),))),
        ('http{code=~"5.."}', Selector("http", (Matcher("code", "=~", "5.."),))),
    ],
)
def test_what_a_selector_is(text: str, found: Selector) -> None:
    assert selectors.parsed(text) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected the name of a metric at character 1, found 'the end'"),
        ("sum(a)", "expected the end of the selector at character 4, found '(a)'"),
        ("a{x}", "expected one of = != =~ !~ at character 4, found '}'"),
        ('a{x="1"', "expected `,` or `}` at character 8, found 'the end'"),
        ("a{x=1}", "expected a value in quotes at character 5, found '1}'"),
        ('a{x="1"} or b', "expected the end of the selector at character 10, found 'or b'"),
        ('a{x=~"("}', "'(' is no regular expression: missing ), unterminated subpattern"),
        ('a{x=~"b(?=c)"}', "'b(?=c)' has '(?=', which Prometheus does not know"),
        ('a{x=~"(b)\\\\1"}', "which Prometheus does not know"),
        ('a{x="\\d"}', "unknown escape \\d"),
        ('a{x="1"}[5m]', "expected the end of the selector"),
        ('{__name__="a"}', "expected the name of a metric at character 1"),
    ],
)
def test_what_a_selector_is_not(text: str, told: str) -> None:
    with pytest.raises(SelectorError) as refused:
        selectors.parsed(text)
    assert told in str(refused.value)


@pytest.mark.parametrize("pattern", [r"a\\1", r"\(?=", "[[:alpha:]]+", "(?i)a", "(?P<x>a)|(?:b)"])
def test_a_regular_expression_that_prometheus_can_read(pattern: str) -> None:
    selectors.check_regex(pattern)


@given(st.lists(plain, max_size=4))
def test_written_and_read_again_it_is_the_same(matchers: list[Matcher]) -> None:
    selector = Selector("metric", tuple(matchers))
    assert selectors.parsed(str(selector)) == selector


@given(values)
def test_no_value_can_leave_its_quotes(value: str) -> None:
    """A hostile value stays one value: no further matcher, no expression."""
    text = str(Selector("metric", (Matcher("x", "=", value), Matcher("tenant", "=", "a"))))
    assert selectors.parsed(text).matchers == (
        Matcher("x", "=", value),
        Matcher("tenant", "=", "a"),
    )
