"""Spans as one tag for each token: O outside, or B, I, E, S of a class, for beginning, inside, end and a single token.

Telling ends and single tokens apart does better than B and I alone (Ratinov and Roth, 2009). Column 0 is O; class k has
columns 4k+1 to 4k+4, in the order of `POSITIONS`.
"""

from bisect import bisect
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from labelloop.learning.arrays import Bools, Ints
from labelloop.records import Span

POSITIONS: Final = 4
_BEGIN, _INSIDE, _END, _SINGLE = range(POSITIONS)


def columns(classes: int) -> int:
    """How many tags there are for so many classes."""
    return 1 + POSITIONS * classes


def allowed(classes: int) -> tuple[Bools, Bools, Bools]:
    """Which tags may follow each other, bool [from, to], which may come first, and which last."""
    tags = np.arange(columns(classes))
    of_class, position = (tags - 1) // POSITIONS, (tags - 1) % POSITIONS
    first = opens(tags)
    last = (tags == 0) | (position == _END) | (position == _SINGLE)
    goes_on = ~last[:, None] & ~first[None, :] & (of_class[:, None] == of_class[None, :])
    return (last[:, None] & first[None, :]) | goes_on, first, last


def opens(tags: Ints) -> Bools:
    """Of each tag whether it may come first: no span runs into it from the tag before."""
    beginning: Bools = (tags == 0) | np.isin((tags - 1) % POSITIONS, (_BEGIN, _SINGLE))
    return beginning


def path_of(number: int, length: int) -> Ints:
    """The tags of a span of a class, given by its number, over so many tokens."""
    first = 1 + POSITIONS * number
    if length == 1:
        return np.array([first + _SINGLE])
    path = np.full(length, first + _INSIDE)
    path[0], path[-1] = first + _BEGIN, first + _END
    return path


def disjoint(spans: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Spans (first token, token after the last, class) of which no two share a token: the longest stay, and of equally long
    ones the first in the text, then the first class. So of nested spans the outermost is learnt.
    """
    kept: list[tuple[int, int, int]] = []
    for span in sorted(spans, key=lambda one: (one[0] - one[1], one)):
        place = bisect(kept, span)
        if (place == 0 or kept[place - 1][1] <= span[0]) and (place == len(kept) or span[1] <= kept[place][0]):
            kept.insert(place, span)
    return kept


def on_tokens(spans: Sequence[Span], starts: Ints, ends: Ints, classes: dict[str, int]) -> list[tuple[int, int, int]]:
    """Spans as (first token, token after the last, class): every token that a span touches is in it.

    Left out are spans that touch no token and those of a class that is not in `classes`.
    """
    found = []
    for span in spans:
        first = int(np.searchsorted(ends, span.start, side="right"))
        after = int(np.searchsorted(starts, span.end, side="left"))
        if first < after and span.label in classes:
            found.append((first, after, classes[span.label]))
    return found


def to_tags(spans: Iterable[tuple[int, int, int]], tokens: int) -> Ints:
    """The tag of each of so many tokens, int64 [tokens], of spans that share none."""
    tags = np.zeros(tokens, dtype=np.int64)
    for first, after, number in spans:
        tags[first:after] = path_of(number, after - first)
    return tags


def from_tags(tags: Ints) -> list[tuple[int, int, int]]:
    """The spans of tags that follow each other as they may."""
    found = []
    first = 0
    for place, tag in enumerate(tags.tolist()):
        number, position = (tag - 1) // POSITIONS, (tag - 1) % POSITIONS
        if tag and position in (_BEGIN, _SINGLE):
            first = place
        if tag and position in (_END, _SINGLE):
            found.append((first, place + 1, number))
    return found
