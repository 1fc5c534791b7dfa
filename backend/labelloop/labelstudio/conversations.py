"""The words of a conversation as one text, and places in it as Label Studio's editor keeps them.

The editor says in which utterance a place is and how many UTF-16 units of the utterance's words are before it. Here the words
of all utterances are one text, a line each, in which code points are counted; who said them is no part of it.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final, Self

from labelloop.errors import MediaBroken

BREAK: Final = "\n"
"""What is between two utterances in the text; no span begins or ends with it."""

Place = tuple[int, int]
"""An utterance, counted from 0, and UTF-16 units from its beginning."""


@dataclass(frozen=True)
class Conversation:
    """A conversation.

    Attributes:
        words: what was said, by utterance.
    """

    words: tuple[str, ...]

    @classmethod
    def parse(cls, value: object, text_key: str = "text") -> Self:
        """Read what a task's data holds.

        Args:
            value: a list of utterances, each an object.
            text_key: where an utterance has its words; without it, it has none.

        Raises:
            MediaBroken: it is no such list, or words are no text.
        """
        if not isinstance(value, list):
            raise _broken(f"there is {type(value).__name__} instead")
        return cls(tuple(_words(utterance, text_key) for utterance in value))

    @cached_property
    def text(self) -> str:
        """The words, a line for each utterance."""
        return BREAK.join(self.words)

    @cached_property
    def _starts(self) -> list[int]:
        """Where each utterance begins in the text."""
        return list(accumulate((len(words) + len(BREAK) for words in self.words[:-1]), initial=0))

    @cached_property
    def _breaks(self) -> frozenset[int]:
        return frozenset(begin - len(BREAK) for begin in self._starts[1:])

    def offset(self, place: Place) -> int:
        """The code points of the text before a place; -1 where there is no such place."""
        number, units = place
        if not 0 <= number < len(self.words):
            return -1
        before = _units_before(self.words[number])
        return self._starts[number] + bisect_left(before, units) if 0 <= units <= before[-1] else -1

    def places(self, start: int, end: int) -> tuple[Place, Place] | None:
        """Where a span of the text begins and ends, less breaks at either side; None where it holds nothing else."""
        while start in self._breaks:
            start += 1
        while end - 1 in self._breaks:
            end -= 1
        if not 0 <= start < end <= len(self.text):
            return None
        first, last = (bisect_right(self._starts, at) - 1 for at in (start, end - 1))
        return (first, self._units(first, start)), (last, self._units(last, end))

    def _units(self, number: int, offset: int) -> int:
        return _units_before(self.words[number])[offset - self._starts[number]]


def _units_before(words: str) -> list[int]:
    """The UTF-16 units before each code point, and in all."""
    return list(accumulate((1 + (character > "\uffff") for character in words), initial=0))


def _words(utterance: object, text_key: str) -> str:
    if not isinstance(utterance, dict):
        raise _broken(f"it holds {type(utterance).__name__}")
    words = utterance.get(text_key)
    if words is None or isinstance(words, str):
        return words or ""
    if isinstance(words, bool) or not isinstance(words, int):
        raise _broken(f"the {text_key!r} of one is {type(words).__name__}")
    return str(words)


def _broken(found: str) -> MediaBroken:
    return MediaBroken(f"a list of utterances with their words is expected, and {found}; correct the task's data.")
