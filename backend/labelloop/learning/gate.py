"""The gate: whether a candidate may replace the live version, judged on the same held-out items."""

from dataclasses import dataclass
from math import comb
from typing import Final

from labelloop.errors import LearningError
from labelloop.learning.arrays import Bools

# A loss this probable among equally good models is put down to chance; on small holdouts most losses are.
CHANCE: Final = 0.2


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the gate decided.

    Attributes:
        accepted: the candidate may go live.
        reason: one sentence with the figures it was decided on.
    """

    accepted: bool
    reason: str


def judge(candidate_correct: Bools, live_correct: Bools | None, *, minimum: int, tolerance: float) -> GateDecision:
    """Compare a candidate with the live version, item by item.

    A candidate is refused when it loses more than `tolerance` of accuracy and chance does not explain the loss: the
    exact one-sided test of McNemar (1947), on the items that only one of the two gets right, gives p <= 0.2.

    Args:
        candidate_correct: bool [n], whether the candidate is right on each held-out item.
        live_correct: the same of the live version on the same items in the same order; None: nothing is live yet.
        minimum: held-out items below which the comparison is not trusted; the candidate, having seen more labels, goes
            live.
        tolerance: accuracy in [0, 1] that the candidate may lose and still go live.

    Raises:
        LearningError: the two arrays are not of the same items.
    """
    if live_correct is None:
        return GateDecision(True, f"First version: nothing is live to compare with ({_figure(candidate_correct)}).")
    if candidate_correct.shape != live_correct.shape:
        raise LearningError(
            f"The gate compares on the same items, but has {candidate_correct.size} for the candidate "
            f"and {live_correct.size} for the live version."
        )
    items = candidate_correct.size
    if items < max(minimum, 1):
        return GateDecision(True, f"Only {items} held-out labels, {minimum} are needed to refuse a candidate.")
    figures = f"{_figure(candidate_correct)} against {_figure(live_correct)} for the live version"
    if live_correct.mean() - candidate_correct.mean() <= tolerance + 1e-9:
        return GateDecision(True, f"Candidate right on {figures}.")
    gains, losses = _discordant(candidate_correct, live_correct)
    chance = _one_sided(gains, losses)
    figures += f" ({gains} gained, {losses} lost, p = {chance:.2f})"
    if chance > CHANCE:
        return GateDecision(True, f"Candidate right on {figures}; chance explains the loss.")
    return GateDecision(False, f"Candidate right on {figures}; it may lose {tolerance:.1%}.")


def _discordant(candidate: Bools, live: Bools) -> tuple[int, int]:
    candidate, live = candidate.astype(bool), live.astype(bool)
    return int((candidate & ~live).sum()), int((live & ~candidate).sum())


def _one_sided(gains: int, losses: int) -> float:
    """Probability that fair coin tosses give at most `gains` heads in `gains + losses`."""
    tosses = gains + losses
    return sum(comb(tosses, heads) for heads in range(gains + 1)) / float(2**tosses)


def _figure(correct: Bools) -> str:
    return f"{int(correct.sum())} of {correct.size} held-out labels"
