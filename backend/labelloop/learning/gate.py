"""The gate: whether a candidate may replace the live version, judged on the same held-out items."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Array, Bools, Floats, Ints

# A loss this probable among equally good models is put down to chance; on small holdouts most losses are.
CHANCE: Final = 0.2
# Stricter, since a loss in few items of a rare class is looked for beside the first test.
CHANCE_IN_CLASSES: Final = 0.1
NONE_HELD: Final = "no labels are held out yet"
DRAWS: Final = 10_000
# Coins tossed at a time: 8 MB of them.
SIGNS_AT_ONCE: Final = 2**20


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the gate decided.

    Attributes:
        accepted: the candidate may go live.
        reason: one or two sentences with the figures it was decided on.
    """

    accepted: bool
    reason: str


def judge(
    candidate_correct: Bools,
    live_correct: Bools | None,
    *,
    minimum: int,
    tolerance: float,
    labels: Sequence[str] = (),
    classes: Sequence[str] = (),
) -> GateDecision:
    """Compare a candidate with the live version, item by item.

    A candidate is refused when it loses more than `tolerance` of accuracy and chance does not explain the loss: the
    exact one-sided test of McNemar (1947), on the items that only one of the two gets right, gives p <= 0.2. Where the items'
    labels are given, it is refused as well when it gives up classes that the live version could predict: it loses more than
    `tolerance` of the mean recall of the classes, in which a rare class weighs as much as a common one, and the same test with
    the items so weighted gives p <= 0.1. Of a class without a held-out label nothing can be judged; the reason names it.

    Args:
        candidate_correct: bool [n], whether the candidate is right on each held-out item.
        live_correct: the same of the live version on the same items in the same order; None: nothing is live yet.
        minimum: held-out items below which the comparison is not trusted; the candidate, having seen more labels, goes
            live.
        tolerance: accuracy, and mean recall, in [0, 1] that the candidate may lose and still go live.
        labels: the n items' labels; empty: the classes are not looked at.
        classes: every class, to name those without a held-out label.

    Raises:
        LearningError: the arrays are not of the same items.
    """
    if live_correct is None:
        return GateDecision(
            True, f"First version: nothing that was learnt is live to compare with ({_figure(candidate_correct)})."
        )
    _check_same_items(candidate_correct, live_correct, labels)
    items = candidate_correct.size
    if items < max(minimum, 1):
        return _too_few(items, minimum)
    decision = _on_accuracy(candidate_correct, live_correct, tolerance)
    if decision.accepted and labels:
        decision = _on_classes(candidate_correct, live_correct, labels, tolerance) or decision
    return GateDecision(decision.accepted, decision.reason + _not_judged(labels, classes))


def judge_quality(candidate: Floats, live: Floats | None, *, minimum: int, tolerance: float) -> GateDecision:
    """Compare a candidate with the live version where an item is not simply right or wrong.

    A candidate is refused when its mean quality is more than `tolerance` lower and chance does not explain the loss: the
    one-sided paired test that draws the sign of each item's difference (Fisher, 1935) gives p <= 0.2.

    Args:
        candidate: float [n] in [0, 1], how well the candidate does on each held-out item.
        live: the same of the live version on the same items in the same order; None: nothing is live yet.
        minimum: held-out items below which the comparison is not trusted.
        tolerance: mean quality that the candidate may lose and still go live, in [0, 1].

    Raises:
        LearningError: the arrays are not of the same items.
    """
    if live is None:
        return GateDecision(
            True, f"First version: nothing that was learnt is live to compare with ({_mean(candidate)})."
        )
    _check_same_items(candidate, live, ())
    if candidate.size < max(minimum, 1):
        return _too_few(candidate.size, minimum)
    figures = f"Candidate's {_mean(candidate)}, {live.mean():.1%} for the live version"
    if live.mean() - candidate.mean() <= tolerance + 1e-9:
        return GateDecision(True, f"{figures}.")
    chance = _one_sided_signs(candidate - live)
    if chance > CHANCE:
        return GateDecision(True, f"{figures} (p = {chance:.2f}); chance explains the loss.")
    return GateDecision(False, f"{figures} (p = {chance:.2f}); it may lose {tolerance:.1%}.")


def _on_accuracy(candidate: Bools, live: Bools, tolerance: float) -> GateDecision:
    figures = f"{_figure(candidate)} against {_figure(live)} for the live version"
    if live.mean() - candidate.mean() <= tolerance + 1e-9:
        return GateDecision(True, f"Candidate right on {figures}.")
    gains, losses = _discordant(candidate, live)
    chance = _one_sided(gains, losses)
    figures += f" ({gains} gained, {losses} lost, p = {chance:.2f})"
    if chance > CHANCE:
        return GateDecision(True, f"Candidate right on {figures}; chance explains the loss.")
    return GateDecision(False, f"Candidate right on {figures}; it may lose {tolerance:.1%}.")


def _on_classes(candidate: Bools, live: Bools, labels: Sequence[str], tolerance: float) -> GateDecision | None:
    """A refusal, where rare classes pay for what the candidate gains; None where there is nothing to refuse."""
    names, columns = np.unique(np.array(labels), return_inverse=True)
    items = np.bincount(columns)
    right = np.bincount(columns, weights=candidate)
    right_before = np.bincount(columns, weights=live)
    recall, recall_before = float((right / items).mean()), float((right_before / items).mean())
    if recall_before - recall <= tolerance + 1e-9:
        return None
    differing = np.bincount(columns, weights=candidate != live).astype(np.int64)
    chance = _one_sided_weighted(differing, right - right_before, 1 / items)
    if chance > CHANCE_IN_CLASSES:
        return None
    worst = int(np.argmin((right - right_before) / items))
    return GateDecision(
        False,
        f"Candidate's mean recall of the classes is {recall:.1%} against {recall_before:.1%} for the live version "
        f"(p = {chance:.2f}); it may lose {tolerance:.1%}. It loses the most in {str(names[worst])!r}: {int(right[worst])} of "
        f"{int(items[worst])} held-out labels right against {int(right_before[worst])}.",
    )


def _check_same_items(candidate: Array, live: Array, labels: Sequence[str]) -> None:
    if candidate.shape != live.shape:
        raise LearningError(
            f"The gate compares on the same items, but has {candidate.size} for the candidate "
            f"and {live.size} for the live version."
        )
    if labels and len(labels) != candidate.size:
        raise LearningError(f"The gate has {len(labels)} labels for {candidate.size} held-out items.")


def _discordant(candidate: Bools, live: Bools) -> tuple[int, int]:
    candidate, live = candidate.astype(bool), live.astype(bool)
    return int((candidate & ~live).sum()), int((live & ~candidate).sum())


def _one_sided(gains: int, losses: int) -> float:
    """Probability that fair coin tosses give at most `gains` heads in `gains + losses`."""
    tosses = gains + losses
    # Whole numbers, which Python divides exactly: past 1,023 tosses neither fits a float.
    return sum(comb(tosses, heads) for heads in range(gains + 1)) / (1 << tosses)


def _one_sided_weighted(tosses: Ints, balance: Array, weights: Array) -> float:
    """Probability that fair coins, weighted by class, lose as much: an estimate from seeded draws that is never 0.

    Args:
        tosses: int [C], items of each class that only one of the two gets right.
        balance: [C], gains less losses among them.
        weights: [C], of one item of the class.
    """
    heads = np.random.default_rng(0).binomial(tosses, 0.5, size=(DRAWS, tosses.size))
    drawn = (2 * heads - tosses) @ weights
    return float(((drawn <= balance @ weights + 1e-9).sum() + 1) / (DRAWS + 1))


def _one_sided_signs(differences: Floats) -> float:
    """Probability that differences of random sign sum up to as little: an estimate from seeded draws that is never 0."""
    differing = differences[differences != 0]
    generator, rows = np.random.default_rng(0), max(SIGNS_AT_ONCE // max(differing.size, 1), 1)
    below = 0
    for start in range(0, DRAWS, rows):
        signs = generator.choice(np.array([-1.0, 1.0]), size=(min(rows, DRAWS - start), differing.size))
        below += int((signs @ np.abs(differing) <= differing.sum() + 1e-9).sum())
    return (below + 1) / (DRAWS + 1)


def _too_few(items: int, minimum: int) -> GateDecision:
    held = f"{items} held-out labels are there" if items else NONE_HELD.capitalize()
    return GateDecision(True, f"{held}; to refuse a candidate takes {minimum}.")


def _not_judged(labels: Sequence[str], classes: Sequence[str]) -> str:
    known = set(labels)
    missing = [name for name in classes if name not in known] if labels else []
    if not missing:
        return ""
    shown = ", ".join(repr(name) for name in missing[:3]) + (" and others" if len(missing) > 3 else "")
    return f" Not judged, for want of held-out labels: {shown}."


def _mean(quality: Floats) -> str:
    if not quality.size:
        return NONE_HELD
    return f"mean quality on {quality.size} held-out labels is {quality.mean():.1%}"


def _figure(correct: Bools) -> str:
    return f"{int(correct.sum())} of {correct.size} held-out labels" if correct.size else NONE_HELD
