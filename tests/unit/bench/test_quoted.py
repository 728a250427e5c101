"""The page of benchmarks quotes the pages of traffic and shadow as they are."""

import pytest

from tests.bench import quoted
from tests.bench.quoted import Section

ONE = Section("One", "one.md", "make one", (1,), "What it says.")
TEXT = "# One\n\n| a |\n|---|\n| 1 |\n\nBetween.\n\n| b |\n|---|\n| 2 |\n"


def test_the_page_has_the_figures_of_traffic_and_shadow_as_their_own_pages_have_them() -> None:
    page = quoted.PAGE.read_text()
    assert quoted.renewed(page, quoted.sections()) == page, "run: python -m tests.bench.quoted"
    for one in quoted.SECTIONS:
        assert f"]({one.page})" in page


def test_the_asked_for_tables_are_quoted_and_no_others() -> None:
    made = quoted.section(ONE, TEXT)
    assert made.startswith("## One\n\nWhat it says.\n")
    assert made.endswith("| b |\n|---|\n| 2 |\n")
    assert "| a |" not in made
    assert "`make one`" in made


def test_a_page_that_lacks_a_table_says_how_it_is_written() -> None:
    with pytest.raises(ValueError, match=r"one\.md to have 2 tables or more, found 0: .*make one"):
        quoted.section(ONE, "# One\n")


def test_quoting_again_replaces_what_was_quoted() -> None:
    first = quoted.renewed("# Benchmarks\n\nOwn.\n", "## Traffic\n\nold\n")
    assert quoted.renewed(first, "## Traffic\n\nnew\n") == (
        "# Benchmarks\n\nOwn.\n\n## Traffic\n\nnew\n"
    )
