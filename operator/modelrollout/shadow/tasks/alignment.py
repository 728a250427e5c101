"""Edit distance and longest common subsequence by bits of one long integer.

Both are linear in one text and bit-parallel in the other, which keeps long answers of language
models affordable. The core is fed by fronts.
"""

from collections.abc import Hashable, Sequence


def edit_distance(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Levenshtein's distance; insertion, deletion and replacement cost 1.

    Source: Myers 1999, in the form of Hyyro 2001.
    """
    a, b = _trimmed(a, b)
    if not a or not b:
        return len(a) + len(b)
    masks = _masks(a)
    full, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    plus, minus, distance = full, 0, len(a)
    for item in b:
        equal = masks.get(item, 0)
        diagonal = (((equal & plus) + plus) ^ plus) | equal | minus
        up = minus | (full & ~(diagonal | plus))
        down = plus & diagonal
        distance += bool(up & last) - bool(down & last)
        up = (up << 1 | 1) & full
        down = (down << 1) & full
        plus = down | (full & ~(diagonal | up))
        minus = up & diagonal
    return distance


def common_length(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Length of the longest common subsequence (Hyyro 2004)."""
    trimmed_a, trimmed_b = _trimmed(a, b)
    masks, full = _masks(trimmed_a), (1 << len(trimmed_a)) - 1
    rest = full
    for item in trimmed_b:
        matches = rest & masks.get(item, 0)
        rest = ((rest + matches) | (rest - matches)) & full
    return len(a) - len(trimmed_a) + (full & ~rest).bit_count()


def _masks(items: Sequence[Hashable]) -> dict[Hashable, int]:
    """For each item the bits of its positions."""
    masks: dict[Hashable, int] = {}
    for at, item in enumerate(items):
        masks[item] = masks.get(item, 0) | 1 << at
    return masks


def _trimmed(
    a: Sequence[Hashable], b: Sequence[Hashable]
) -> tuple[Sequence[Hashable], Sequence[Hashable]]:
    """Without what both begin and end with: no best alignment is worse for it."""
    start, least = 0, min(len(a), len(b))
    while start < least and a[start] == b[start]:
        start += 1
    end = 0
    while end < least - start and a[-1 - end] == b[-1 - end]:
        end += 1
    return a[start : len(a) - end], b[start : len(b) - end]
