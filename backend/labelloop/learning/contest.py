"""The contest of several trained heads: which is taken, and how well one that is taken this way does on new items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.blending import BLEND, tenths
from labelloop.learning.calibrating import Reliability, choose_calibration
from labelloop.learning.calibration import Calibration
from labelloop.learning.choice import Choice, Comparison, Prior, choose, compare, expect
from labelloop.learning.heads import Head, Lesson, Tested


@dataclass(frozen=True, slots=True)
class Unseen:
    """Labelled rows that nothing is trained on: rows [h, d], scaled like the lesson's, and targets int [h]; h may be 0."""

    rows: Floats
    targets: Ints


@dataclass(frozen=True, slots=True)
class Entrant:
    """A head that was trained and tested.

    Attributes:
        name: of the way it was trained.
        tested: the head, and what heads trained without them said of the tested rows.
        prior: what it is expected to gain beside the supervised head; None: nothing is known of it.
        usual: the temperature that its logits usually need.
        calibration: fitted on the tested rows.
        reliability: what the calibration does.
    """

    name: str
    tested: Tested
    prior: Prior | None
    usual: float
    calibration: Calibration
    reliability: Reliability


@dataclass(frozen=True, slots=True)
class Outcome:
    """The head that is taken.

    Attributes:
        winner: it.
        choice: why.
        logits: [k, C] of the rows that the winner was tested on, from heads that had not seen them and that were chosen without
            them, on the scale of the winner's logits.
        calibration: the winner's, fitted on these.
        reliability: what the calibration does.
    """

    winner: Entrant
    choice: Choice
    logits: Floats
    calibration: Calibration
    reliability: Reliability

    @property
    def head(self) -> Head:
        """The winner's head."""
        return self.winner.tested.head

    @property
    def rows(self) -> Ints:
        """Int [k], rows of the lesson that the winner was tested on."""
        return self.winner.tested.rows


@dataclass(frozen=True, slots=True)
class Match:
    """A candidate beside the supervised head.

    Attributes:
        candidate: who.
        rows: int [k], the lesson's rows that both were tested on.
        said: probabilities [k + h, C] by the candidate, of those rows and then of the unseen ones.
        supervised: the same by the supervised head.
        targets: int [k + h].
        apart: share of the pool that the two answer differently; 1 where there is no pool.
    """

    candidate: Entrant
    rows: Ints
    said: Floats
    supervised: Floats
    targets: Ints
    apart: float

    def compared(self, left_out: Ints) -> Comparison:
        """The two on all these items but the given rows of the lesson."""
        kept = np.ones(len(self.targets), dtype=bool)
        kept[: len(self.rows)] = ~np.isin(self.rows, left_out)
        found = compare(self.candidate.name, self.said[kept], self.supervised[kept], self.targets[kept])
        return expect(found, self.candidate.prior, self.apart)

    @property
    def loses(self) -> bool:
        """Whether the candidate is worse on the unseen rows alone, by more than their standard error."""
        alone = slice(len(self.rows), None)
        found = compare(self.candidate.name, self.said[alone], self.supervised[alone], self.targets[alone])
        return found.gain < -found.error


def enter(name: str, tested: Tested, lesson: Lesson, *, prior: Prior | None, usual: float) -> Entrant:
    """Calibrate a tested head, so that its probabilities can be compared; arguments as in `Entrant`."""
    targets, weights = lesson.targets[tested.rows], lesson.weights[tested.rows]
    return Entrant(name, tested, prior, usual, *choose_calibration(tested.logits, targets, weights, usual))


def match_up(candidate: Entrant, supervised: Entrant, lesson: Lesson, unseen: Unseen) -> Match:
    """Put a candidate beside the supervised head, on the tested rows and on the unseen ones."""
    rows = candidate.tested.rows
    said, by_supervised = (_said(entrant, rows, unseen) for entrant in (candidate, supervised))
    targets = np.concatenate([lesson.targets[rows], unseen.targets])
    return Match(candidate, rows, said, by_supervised, targets, _apart(candidate, supervised, lesson.pool))


def gains_without(supervised: Entrant, matches: Sequence[Match], left_out: Ints) -> dict[str, float]:
    """By name, what each is expected to get right more than the supervised head, without the answers to these rows."""
    return {supervised.name: 0.0} | {match.candidate.name: match.compared(left_out).worth for match in matches}


def decide(
    supervised: Entrant,
    matches: Sequence[Match],
    lesson: Lesson,
    failed: Mapping[str, str],
    seed: int,
    *,
    blended: Mapping[str, float] | None = None,
) -> Outcome:
    """Choose by what each head says of items that none has seen.

    The best of several on a few items is partly the luckiest on them, so its own figures promise too much (Cawley and Talbot,
    2010). What is told of the winner is therefore of heads chosen without the items they are told of, as in nested
    cross-validation: each tenth of the tested rows is left out in turn and the choice made again by the others.

    Args:
        supervised: what is taken where no candidate is better.
        matches: the candidates; one that is worse on the unseen rows by more than their standard error cannot win.
        lesson: what all were trained on.
        failed: why, by name, of candidates that could not be trained.
        seed: deals out the rows.
        blended: the parts of the blend among the candidates, by name, with their shares; none of them can win, as the blend is
            what is made of them. None: there is no blend.
    """
    blended = blended or {}
    entrants = {supervised.name: supervised} | {match.candidate.name: match.candidate for match in matches}
    allowed = [m.candidate.name for m in matches if not m.loses and m.candidate.name not in blended]

    def chosen(left_out: Ints) -> Choice:
        return choose(supervised.name, [match.compared(left_out) for match in matches], allowed, failed, BLEND)

    choice = chosen(np.zeros(0, dtype=np.int64))
    if choice.method == BLEND:
        choice = replace(choice, reason=f"{choice.reason.removesuffix('.')}; {_listed(blended)}.")
    winner = entrants[choice.method]
    rows, targets = winner.tested.rows, lesson.targets[winner.tested.rows]
    logits = winner.tested.logits.copy()
    part = tenths(targets, seed)
    for number in np.unique(part):
        taken = entrants[chosen(rows[part == number]).method]
        if taken is not winner:
            _replace(logits, rows, part == number, taken, winner.usual)
    if np.array_equal(logits, winner.tested.logits):
        return Outcome(winner, choice, logits, winner.calibration, winner.reliability)
    fitted = choose_calibration(logits, targets, lesson.weights[rows], winner.usual)
    return Outcome(winner, choice, logits, *fitted)


def _listed(parts: Mapping[str, float]) -> str:
    """The parts and their shares as a phrase, the largest first, and those that were refused."""
    weighing = sorted((name for name, share in parts.items() if share), key=lambda name: -parts[name])
    refused = [name for name, share in parts.items() if not share]
    said = "of " + ", ".join(f"{name} {parts[name]:.0%}" for name in weighing)
    return said + (f", without {', '.join(refused)}" if refused else "")


def _replace(logits: Floats, rows: Ints, part: Bools, taken: Entrant, usual: float) -> None:
    """Put in what another entrant says of a part of the rows, where it was tested on them, on the scale of `usual`."""
    _, here, there = np.intersect1d(rows[part], taken.tested.rows, return_indices=True)
    logits[np.flatnonzero(part)[here]] = taken.tested.logits[there] * (usual / taken.usual)


def _said(entrant: Entrant, rows: Ints, unseen: Unseen) -> Floats:
    """Probabilities of tested rows, given by their numbers in the lesson, and then of the unseen ones."""
    logits = entrant.tested.logits[np.searchsorted(entrant.tested.rows, rows)]
    if len(unseen.targets):
        logits = np.concatenate([logits, entrant.tested.head.logits(unseen.rows)])
    return entrant.calibration.probabilities(logits)


def _apart(candidate: Entrant, supervised: Entrant, pool: Floats) -> float:
    if not len(pool):
        return 1.0
    said, by_supervised = (entrant.tested.head.logits(pool).argmax(axis=1) for entrant in (candidate, supervised))
    return float((said != by_supervised).mean())
