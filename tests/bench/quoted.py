"""The tables of pages that have a command of their own, quoted in docs/benchmarks.md.

`python -m tests.bench.quoted` quotes them anew, once such a page was written again. No figure is
ever copied by hand, so that none can differ from its page.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster import layout

DOCS: Final = layout.CHECKOUT / "docs"
PAGE: Final = DOCS / "benchmarks.md"
_TABLE: Final = re.compile(r"(?:^\|.*\|\n)+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """What is quoted of one page.

    Attributes:
        title: of the section.
        page: that is quoted, relative to `docs`.
        command: that writes it.
        tables: the places of its tables that are quoted, from 0.
        text: what they say.
    """

    title: str
    page: str
    command: str
    tables: tuple[int, ...]
    text: str


SECTIONS: Final = (
    Section(
        "Traffic",
        "benchmarks/router.md",
        "make bench-traffic",
        (0, 1),
        "What the router costs users beside a plain Envoy, and how it follows the decision.",
    ),
    Section(
        "Shadow",
        "benchmarks/shadow.md",
        "make bench-traffic",
        (0, 1, 2),
        "What copies cost users, without and with an observer in trouble, and what it carries.",
    ),
)


def section(asked: Section, text: str) -> str:
    """One section, as Markdown.

    Args:
        asked: what is quoted.
        text: of the page.

    Raises:
        ValueError: when the page has fewer tables.
    """
    found = _TABLE.findall(text)
    if len(found) <= max(asked.tables):
        raise ValueError(
            f"expected docs/{asked.page} to have {max(asked.tables) + 1} tables or more, found "
            f"{len(found)}: write it anew with `{asked.command}`"
        )
    quoted = "\n".join(found[place] for place in asked.tables)
    link = f"All of it, and how it was measured: [{asked.page}]({asked.page}), by"
    return f"## {asked.title}\n\n{asked.text}\n{link} `{asked.command}`.\n\n{quoted}"


def sections(docs: Path = DOCS) -> str:
    """All sections, as Markdown."""
    return "\n".join(section(one, (docs / one.page).read_text()) for one in SECTIONS)


def renewed(page: str, quotes: str) -> str:
    """The page of benchmarks with these sections in the place of those that it has."""
    own, _, _ = page.partition(f"## {SECTIONS[0].title}\n")
    return f"{own.rstrip()}\n\n{quotes}"


def main() -> None:
    """Quotes anew."""
    PAGE.write_text(renewed(PAGE.read_text(), sections()))


if __name__ == "__main__":
    main()
