"""Names and texts as they are compared: one spelling of a label, bounded normalisation of text.

The core is fed by fronts.
"""

import unicodedata

from modelrollout.shadow import comparison, jsontext, trouble

MOST_TEXT = 500_000
"""Characters of one text."""
_LONGEST_RUN = 30
"""Marks on one letter, as in the Stream-Safe Text Format (Unicode annex 15): normalising is
quadratic in them, and 100,000 would hold a core for a minute."""


def label(value: object) -> str:
    """A label or an item as text; 1, 1.0 and "1" are one, true is "true".

    Raises:
        UnreadableError: `SCHEMA` on null, arrays, objects and numbers of over 100 digits; `NAN`.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() if abs(value) <= jsontext.MOST:
            return str(value)
        case float():
            number = jsontext.number(value, what="a label")
            return str(int(number)) if number.is_integer() else repr(number)
        case _:
            raise comparison.schema(
                f"expected a label as string, boolean or number of at most 100 digits, found "
                f"{jsontext.kind(value)}"
            )


def normalised(text: str) -> str:
    """NFC; text with more than 30 marks on one letter stays as it is.

    Raises:
        UnreadableError: `TOO_LARGE` above `MOST_TEXT` characters.
    """
    if len(text) > MOST_TEXT:
        raise trouble.UnreadableError(
            trouble.Trouble.TOO_LARGE,
            f"expected at most {MOST_TEXT} characters, found {len(text)}",
        )
    if text.isascii() or _longest_run(text) > _LONGEST_RUN:
        return text
    return unicodedata.normalize("NFC", text)


def _longest_run(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    return longest
