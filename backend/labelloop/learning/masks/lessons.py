"""From labelled images to lessons, and what heads say of images that they were not trained on."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.maps import Maps, unpack
from labelloop.learning.calibration import Calibration, fit_calibration, unfitted
from labelloop.learning.folds import deal_out, to_judge, with_each_left_out
from labelloop.learning.masks.areas import class_map, coverage, working_size
from labelloop.learning.masks.fitting import fit_head
from labelloop.learning.masks.head import PARTS, MaskHead, averaged
from labelloop.learning.masks.told import told_logits
from labelloop.learning.masks.windows import Lesson, Scale
from labelloop.records import MasksTarget

FOLDS: Final = 3
# The share of the usual work that heads of the folds get: they tell what logits are worth, and are then forgotten.
FOLD_WORK: Final = 0.2
# Fewer different images with an area are all needed for training.
LEAST_FOR_FOLDS: Final = 4
# Up to so many images a second head is trained and the two averaged: heads of few images differ by their first weights and by what
# they are shown when. Over four splits of nuclei, one and two gave a Dice coefficient of 0.764 and 0.768 at 5 images, of 0.833 and
# 0.837 at 20 and of 0.865 and 0.870 at 30. With many images it would delay a version by more than it is worth.
FEW: Final = 50
# Fewer images that the backbone has not learnt from say nothing of what it is worth.
LEAST_TO_JUDGE: Final = 3
# Places of each image that tell what the logits are worth, and how much evidence they are taken for together: places of one
# image say nearly the same.
PLACES: Final = 300
EVIDENCE_EACH: Final = 10.0

Labelled = tuple[Dense, MasksTarget]


def seen_classes(items: Sequence[Labelled], classes: Sequence[str]) -> Ints:
    """The numbers of the classes that have an area, int64.

    Raises:
        NotEnoughLabels: none has.
    """
    drawn = {mask.label for _, target in items for mask in target.masks if len(mask.runs) > 1}
    seen = np.array([number for number, label in enumerate(classes) if label in drawn], dtype=np.int64)
    if not seen.size:
        raise NotEnoughLabels(f"None of the {len(items)} labelled images has an area yet; mark one in an image.")
    return seen


def make_lessons(items: Sequence[Labelled], labels: Sequence[str]) -> list[Lesson]:
    """Lessons of labelled images.

    Raises:
        LearningError: the maps are of several sizes.
    """
    maps = [unpack(dense) for dense, _ in items]
    if len({tuple(level.shape for level in one.levels) for one in maps}) > 1:
        raise LearningError("Maps of several sizes do not go together; were they made by several backbones?")
    return [
        Lesson(
            [_finite(level) for level in one.levels],
            _coverage(one, target, labels),
            target.weight,
            one.taught,
            told_logits(one, labels),
        )
        for one, (_, target) in zip(maps, items, strict=True)
    ]


def fresh(lessons: Sequence[Lesson], groups: Ints) -> list[int]:
    """The places of the lessons to judge by: one of each group of near-duplicates that the backbone has not learnt from; of all
    groups, where it has learnt from nearly every one.

    Of images that it has learnt from a fine-tuned backbone is too sure: heads on its maps learn from them, but are judged by others.
    """
    taught = np.array([lesson.taught for lesson in lessons], dtype=bool)
    known: list[int] = np.flatnonzero(to_judge(groups, taught)).tolist()
    if len(known) >= LEAST_TO_JUDGE:
        return known
    every: list[int] = np.flatnonzero(to_judge(groups)).tolist()
    return every


def fit_heads(
    lessons: Sequence[Lesson], groups: Ints, scales: Sequence[Scale], seed: int
) -> tuple[MaskHead, list[Floats]]:
    """A head of all images, where they are few the average of two; and logits [classes, rows, columns] of each image by a head
    not trained on it or its near-duplicates; none where too few have an area.
    """
    areas = [tuple(np.flatnonzero(lesson.coverage[1:].any(axis=(1, 2))).tolist()) for lesson in lessons]
    fold = deal_out(areas, FOLDS, seed, groups)
    folds = FOLDS if np.unique(groups[[bool(one) for one in areas]]).size >= LEAST_FOR_FOLDS else 0

    seeds = [seed, seed + 1] if len(lessons) <= FEW else [seed]

    def fit(rows: list[int], share: float, seed: int) -> MaskHead:
        return fit_head([lessons[row] for row in rows], scales, seed, share)

    heads = with_each_left_out(fit, fold, folds, FOLD_WORK, seeds)
    whole, others = heads[: len(seeds)], heads[len(seeds) :]
    told = (
        [others[own](lesson.levels, lesson.told) for lesson, own in zip(lessons, fold, strict=True)] if others else []
    )
    return averaged(whole), told


def calibrate(told: Sequence[Floats], lessons: Sequence[Lesson], seed: int) -> Calibration:
    """What logits are worth, from those of images that heads were not trained on; nothing is changed where there are none.

    A temperature alone: where a half of a few images is unlike the other, heads are wrong about it, and offsets that make up
    for that would move every boundary, up to finding nothing anywhere.
    """
    if not told:
        return unfitted(len(lessons[0].coverage))
    rng = np.random.default_rng(seed)
    logits, targets, weights = [], [], []
    for said, lesson in zip(told, lessons, strict=True):
        picked = rng.choice(said[0].size, PLACES)
        logits.append(said.reshape(len(said), -1)[:, picked].T)
        targets.append(lesson.coverage.reshape(len(said), -1)[:, picked].argmax(axis=0))
        weights.append(np.full(PLACES, lesson.weight * EVIDENCE_EACH / PLACES))
    return fit_calibration(
        np.concatenate(logits).astype(np.float64), np.concatenate(targets), np.concatenate(weights), offsets=False
    )


def _finite(level: Floats) -> Floats:
    return level if np.isfinite(level).all() else np.nan_to_num(level, nan=0.0, posinf=0.0, neginf=0.0)


def _coverage(maps: Maps, target: MasksTarget, labels: Sequence[str]) -> Ints:
    side = PARTS * maps.levels[0].shape[1]
    truth = class_map(target.masks, labels, *working_size(maps.height, maps.width))
    return coverage(truth, len(labels), side)
