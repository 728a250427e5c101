"""Which configuration is newer."""

import pytest

from modelrollout.routing.router import credentials
from modelrollout.routing.router.edition import Edition
from modelrollout.routing.router.wanted import duration


@pytest.mark.parametrize(
    "text", ["", "7", "1.2.3", "1.2.3.4.5", "a.b.c.d", "1.2.3.-4", "1.2.3.4\n"]
)
def test_what_is_no_edition_of_ours_is_none(text: str) -> None:
    assert Edition.parsed(text) is None


def test_an_edition_is_read_back_as_it_was_written() -> None:
    edition = Edition(1_767_225_600, 12, 3)
    assert Edition.parsed(str(edition)) == edition


def test_later_ones_are_greater_as_numbers_not_as_text() -> None:
    order = [Edition(1, 9, 9), Edition(1, 10, 1), Edition(1, 10, 2), Edition(1, 10, 2, 2)]
    assert sorted(order) == order
    assert Edition(2, 1, 1) > Edition(1, 99, 99)


@pytest.mark.parametrize(
    ("length_s", "text"),
    [(0.0, "0s"), (0.25, "0.25s"), (600.0, "600s"), (1_036_800.0, "1036800s"), (10.0, "10s")],
)
def test_durations_have_no_exponent_which_envoy_would_refuse(length_s: float, text: str) -> None:
    assert duration(length_s) == text


def test_a_token_belongs_to_one_rollout_and_one_key() -> None:
    key, other = b"k" * 32, b"o" * 32
    made = credentials.token(key, namespace="ml", name="fraud")
    assert credentials.is_right(made, made)
    for wrong in (
        credentials.token(other, namespace="ml", name="fraud"),
        credentials.token(key, namespace="ml", name="fraud2"),
        "",
        None,
        5,
        "\udcff",
    ):
        assert not credentials.is_right(wrong, made)


def test_a_key_that_is_too_short_is_none() -> None:
    with pytest.raises(ValueError, match="expected a key of 32 bytes"):
        credentials.token(b"short", namespace="ml", name="fraud")
