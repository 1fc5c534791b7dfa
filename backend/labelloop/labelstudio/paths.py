"""A path through a tree of labels as one line of text, "Animal > Cat", and back."""

import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"([\\>])")
_PARTS = re.compile(r" > ")
_ESCAPED = re.compile(r"\\([\\>])")


def join_path(parts: Sequence[str]) -> str:
    """The path as text, from the topmost label down; `split_path` gives the parts back, whatever they hold.

    A backslash and a > within a label are written with a backslash before them.
    """
    return " > ".join(_SPECIAL.sub(r"\\\1", part) for part in parts)


def split_path(text: str) -> tuple[str, ...]:
    """The labels of a path that `join_path` wrote; at least one."""
    return tuple(_ESCAPED.sub(r"\1", part) for part in _PARTS.split(text))
