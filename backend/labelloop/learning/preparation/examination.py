"""All questions of preparation asked of one set of labelled items, and what is kept of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.preparation import checks
from labelloop.learning.preparation.findings import SHOWN, Finding, FindingKind, finding_of
from labelloop.learning.preparation.near_duplicates import near_duplicate_groups

# Fewer items of a class leave some fold of a cross-validation without one.
FEW: Final = 5
# The most frequent class has this many times the items of the rarest.
IMBALANCE: Final = 10


@dataclass(frozen=True, slots=True)
class Examination:
    """What preparation makes of labelled items.

    Attributes:
        kept: bool [n], the items to use.
        labels: label of each item; that of duplicates is what most copies say.
        groups: int64 [n], for each item the number of the first item of its group of near-duplicates.
        findings: what is wrong, and what was done about it.
    """

    kept: Bools
    labels: tuple[str, ...]
    groups: Ints
    findings: tuple[Finding, ...]


def examine(
    items: Sequence[bytes] | Sequence[str],
    labels: Sequence[str],
    features: Floats,
    classes: Sequence[str],
    *,
    held_out: Bools | None = None,
    ids: Sequence[str] | None = None,
    groups: Ints | None = None,
    named: Mapping[str, Sequence[str]] | None = None,
) -> Examination:
    """Find what is wrong with labelled items, and decide by a stated rule what is kept.

    Empty and broken items and impossible labels are left out. Of items with equal content one is kept, under the label
    that most copies have; where copies disagree evenly, none. Near-duplicates are kept, and belong on one side of any
    split, for which `groups` is there; where the sides are given, those to be trained on give way.

    Args:
        items: n contents, or digests of them; an empty one stands for an empty item.
        labels: n labels.
        features: [n, d]; a row that is not finite says that the item cannot be read.
        classes: the labels there may be.
        held_out: bool [n], items that models are judged on; None: not decided yet.
        ids: n names for a person to find the items by; their numbers otherwise.
        groups: what `near_duplicate_groups` gives of the features, where that is known already.
        named: the classes, any number, that each label there may be stands for; None: each is a class.

    Raises:
        LearningError: the arrays are not of the same length.
    """
    if not len(items) == len(labels) == len(features):
        raise LearningError(f"There are {len(items)} items, {len(labels)} labels and {len(features)} rows of features.")
    names = [str(row) for row in range(len(items))] if ids is None else ids
    aside = np.zeros(len(items), dtype=bool) if held_out is None else held_out
    findings, kept = _unusable(items, labels, features, classes if named is None else tuple(named), names)
    exact = _within(kept, checks.duplicate_groups(items))
    told, final, kept = _without_copies(exact, labels, aside, kept, names)
    findings += told
    if groups is None:
        groups = near_duplicate_groups(np.where(kept[:, None], features, np.nan))
    told, kept = _near(groups, exact, final, aside, kept, names)
    left = [label for label, good in zip(final, kept, strict=True) if good]
    said = left if named is None else [one for label in left for one in named[label]]
    findings += told + _of_classes(said, classes)
    return Examination(kept, final, groups, tuple(findings))


def _unusable(
    items: Sequence[bytes] | Sequence[str],
    labels: Sequence[str],
    features: Floats,
    classes: Sequence[str],
    ids: Sequence[str],
) -> tuple[list[Finding], Bools]:
    empty = checks.empty_items(items)
    broken = ~np.isfinite(features).all(axis=1) & ~empty
    impossible = checks.impossible_labels(labels, classes)
    left = "They are left out."
    findings = finding_of(FindingKind.EMPTY, empty, ids, "{count} with nothing in them.", left)
    findings += finding_of(FindingKind.BROKEN, broken, ids, "{count} that cannot be read: missing or damaged.", left)
    kind = FindingKind.IMPOSSIBLE_LABEL
    findings += finding_of(kind, impossible, ids, "{count} without a label, or with one that is no class.", left)
    return findings, ~(empty | broken | impossible)


def _within(kept: Bools, groups: Ints) -> Ints:
    """Groups among the kept rows alone; every other row is in a group of its own."""
    own = np.arange(len(groups))
    rows = np.flatnonzero(kept)
    _, first, inverse = np.unique(groups[rows], return_index=True, return_inverse=True)
    own[rows] = rows[first[inverse.reshape(-1)]]
    return own


def _without_copies(
    exact: Ints, labels: Sequence[str], held_out: Bools, kept: Bools, ids: Sequence[str]
) -> tuple[list[Finding], tuple[str, ...], Bools]:
    conflict = checks.disagreeing(exact, labels) & kept
    said = checks.majority_labels(exact, labels)
    undecided = np.array([label is None for label in said], dtype=bool)
    final = tuple(label if most is None else most for label, most in zip(labels, said, strict=True))
    # A copy on each side of a split is a leak, told as such; here one of each side is left.
    copies = checks.repeated(_within(kept, 2 * exact + held_out)) & kept
    kind = FindingKind.DUPLICATE
    findings = finding_of(kind, copies, ids, "{count} with the same content as an earlier one.", "The first is kept.")
    rule = "What most copies say holds; where that is even, none is kept."
    kind = FindingKind.CONFLICT
    findings += finding_of(kind, conflict, ids, "{count} with the same content under different labels.", rule)
    return findings, final, kept & ~copies & ~undecided


def _near(
    groups: Ints, exact: Ints, labels: Sequence[str], held_out: Bools, kept: Bools, ids: Sequence[str]
) -> tuple[list[Finding], Bools]:
    near = checks.repeated(groups) & (groups != exact) & kept
    kind = FindingKind.NEAR_DUPLICATE
    rule = "They are kept, and never split between training and holdout."
    findings = finding_of(kind, near, ids, "{count} nearly the same as an earlier one.", rule)
    differ = checks.disagreeing(groups, labels) & kept
    kind = FindingKind.NEAR_CONFLICT
    rule = "They are kept; look at them, for some of their labels are likely wrong."
    findings += finding_of(kind, differ, ids, "{count} nearly the same as one with another label.", rule)
    leaks = checks.leaking(groups, held_out) & kept
    found = "{count} to be trained on that are held out too, or nearly the same as one that is."
    rule = "They are left out of training; the held-out ones stay."
    return findings + finding_of(FindingKind.LEAK, leaks, ids, found, rule), kept & ~leaks


def _of_classes(labels: Sequence[str], classes: Sequence[str]) -> list[Finding]:
    counts = Counter(dict.fromkeys(classes, 0))
    counts.update(labels)
    ranked = [label for label, _ in sorted(counts.items(), key=lambda pair: (pair[1], pair[0]))]
    few = tuple(label for label in ranked if counts[label] < FEW)
    findings = []
    if few:
        have = "has" if len(few) == 1 else "have"
        found = f"{len(few)} of {len(counts)} classes {have} fewer than {FEW} items."
        rule = "They are kept; figures about them mean little until they have more."
        findings.append(Finding(FindingKind.FEW, len(few), few[:SHOWN], found, rule))
    if counts and counts[ranked[-1]] >= IMBALANCE * max(counts[ranked[0]], 1):
        common, rare = ranked[-1], ranked[0]
        found = f"{common!r} has {counts[common]:,} items, {rare!r} {counts[rare]:,}."
        rule = "They are kept as they are; macro F1 counts every class alike, accuracy does not."
        findings.append(Finding(FindingKind.IMBALANCE, 2, (common, rare), found, rule))
    return findings
