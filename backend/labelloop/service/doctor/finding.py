"""What a check found: one line."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"  # as it should be
    WARN = "warn"  # the loop works, but less well than it could
    BROKEN = "broken"  # the loop, or a part of it, does not work until this is mended


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        name: what was looked at.
        level: how it is.
        seen: what was seen, one phrase.
        mend: what to do about it; empty when all is well.
        project: the Label Studio project it is about, None for what all share.
    """

    name: str
    level: Level
    seen: str
    mend: str = ""
    project: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check gives back; the doctor adds which check it was, and of which project."""

    level: Level
    text: str
    mend: str = ""


def ok(text: str) -> Seen:
    """All is well."""
    return Seen(Level.OK, text)


def warn(text: str, mend: str = "") -> Seen:
    """It works, but less well than it could."""
    return Seen(Level.WARN, text, mend)


def broken(text: str, mend: str = "") -> Seen:
    """It does not work."""
    return Seen(Level.BROKEN, text, mend)
