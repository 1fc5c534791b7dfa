"""When to train: pure rules, no clock and no I/O of their own."""

from dataclasses import dataclass

from labelloop.service.marks import Mark
from labelloop.service.state import BACK_OFF_MOST
from labelloop.settings import Settings

ARRIVALS_QUIET = 1.0
"""Seconds without another task after which those that came or went are looked at."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to train now.

    Attributes:
        due: train.
        reason: one phrase for people.
        check_at: Unix time to look again if nothing else happens; None when there is nothing to wait for.
    """

    due: bool
    reason: str
    check_at: float | None


def decide(
    changes: int, first_at: float, last_at: float, now: float, settings: Settings, *, force: bool = False
) -> Decision:
    """Weigh the changes since the last training.

    Args:
        changes: labels that are new, changed or gone.
        first_at: Unix time at which the first of them was seen.
        last_at: Unix time at which the latest was seen.
        now: Unix time.
        settings: `train_after`, `train_quiet` and `train_max_wait`.
        force: somebody asked for it.
    """
    if force:
        return Decision(True, "asked for", None)
    if changes == 0:
        return Decision(False, "no label has changed", None)
    if changes >= settings.train_after:
        return Decision(True, f"{changes} labels changed", None)
    if last_at > now + settings.train_max_wait:
        return Decision(True, f"{changes} labels changed, the clock was set back", None)
    check_at = min(last_at + settings.train_quiet, first_at + settings.train_max_wait)
    if now >= check_at:
        quiet = now >= last_at + settings.train_quiet
        why = f"quiet for {now - last_at:.0f} s" if quiet else f"the first waited {now - first_at:.0f} s"
        return Decision(True, f"{changes} labels changed, {why}", None)
    return Decision(False, f"{changes} of {settings.train_after} changes", check_at)


def round_is_due(mark: Mark, due_at: float | None, now: float, settings: Settings) -> bool:
    """Whether the hints, or the clock, call for a round that looks at Label Studio.

    Args:
        mark: the hints since the last round.
        due_at: when a round asked to be followed by the next; None when that is not known.
        now: Unix time.
        settings: the same thresholds as for `decide`.
    """
    # Nobody asks for a round later than that; what is due later was asked for before the clock was set back.
    latest = now + max(settings.reconcile_every, BACK_OFF_MOST)
    if due_at is None or not now < due_at <= latest or mark.force:
        return True
    if not mark:
        return False
    waited, quiet = now - mark.first_at, now - mark.last_at
    if mark.changes:
        return (
            mark.changes >= settings.train_after or quiet >= settings.train_quiet or waited >= settings.train_max_wait
        )
    return quiet >= ARRIVALS_QUIET or waited >= settings.train_max_wait
