"""The learner of a control whose answer is areas: a small head on cached maps."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.backbones.dense import Dense, decoded, decoded_pairs
from labelloop.learning.backbones.maps import Maps, unpack
from labelloop.learning.calibration import Calibration
from labelloop.learning.figures import Figures
from labelloop.learning.learner import Reads, Training
from labelloop.learning.masks.areas import class_map, overlap_shares, working_size
from labelloop.learning.masks.doubt import expected_dice, uncertainty
from labelloop.learning.masks.figures import figures, image_quality
from labelloop.learning.masks.head import MaskHead
from labelloop.learning.masks.lessons import (
    Labelled,
    calibrate,
    fit_heads,
    fresh,
    make_lessons,
    seen_classes,
)
from labelloop.learning.masks.told import told_logits
from labelloop.learning.masks.windows import fit_scales
from labelloop.learning.reduction import AUTO, check_reduction
from labelloop.learning.resampling import resampled
from labelloop.learning.threads import one_thread
from labelloop.learning.uncertainty import measure_named
from labelloop.records import Mask, MasksPrediction, MasksTarget
from labelloop.records.masks import nearest


class MasksLearner:
    """Tells each place of an image apart on the maps of a frozen backbone, as interactive pixel classifiers do.

    Every place is of one class or of none: where people marked one place as several, it is of the one whose area is smaller.
    Where the backbone was trained to tell areas, the head adds to what it says of them (residual learning; He et al., 2016).
    A mask's score is the Dice coefficient to be expected of it. Training needs torch; predicting needs numpy alone.

    Attributes:
        classes: every class of the control, in the config's order; one without an area is never found.
        uncertainty: the name of the measure of each place's uncertainty.
        reduction: how those of all places become one, see `doubt.uncertainty`.
        cv_metrics: how heads trained on two thirds of the images fare on the rest, without those that the backbone has learnt
            from, each group of near-duplicates counting once; None where images with an area are too few.
    """

    kind: ClassVar[str] = "masks"
    reads: ClassVar[Reads] = Reads.DENSE

    def __init__(
        self,
        classes: Sequence[str],
        seen: Ints,
        head: MaskHead,
        calibration: Calibration,
        *,
        uncertainty: str,
        reduction: str,
        cv_metrics: Figures | None,
    ) -> None:
        self.classes = tuple(classes)
        self.uncertainty = uncertainty
        self.reduction = reduction
        self.cv_metrics = cv_metrics
        self._measure = measure_named(uncertainty)
        self._seen = seen
        self._head = head
        self._calibration = calibration

    @classmethod
    def train(cls, training: Training) -> "MasksLearner":
        """Train on labelled images; those that could not be decoded are left out.

        Raises:
            NotEnoughLabels: no image has an area of a class there is.
            LearningError: no uncertainty or reduction has that name, or the maps do not go together.
        """
        options = training.options
        measure_named(options.uncertainty)
        check_reduction(options.reduction)
        items = decoded_pairs(training.inputs, training.targets)
        seen = seen_classes(items, training.classes)
        labels = [training.classes[i] for i in seen]
        with one_thread():
            lessons = make_lessons(items, labels)
            scales = fit_scales(lessons)
            groups = training.grouped()[decoded(training.inputs)]
            head, told = fit_heads(lessons, groups, scales, options.seed)
            judged = fresh(lessons, groups) if told else []
            others = [told[place] for place in judged]
            calibration = calibrate(others, [lessons[place] for place in judged] or lessons, options.seed)
        shares = [
            overlap_shares(
                calibration.scaled(said.T).argmax(axis=2).T, lessons[place].coverage.argmax(axis=0), len(labels)
            )
            for said, place in zip(others, judged, strict=True)
        ]
        found = any(one[:, 1:].any() for one in shares)
        metrics = figures(shares, labels, "cross-validation", options.seed) if found else None
        return cls(
            training.classes,
            seen,
            head,
            calibration,
            uncertainty=options.uncertainty,
            reduction=options.reduction,
            cv_metrics=metrics,
        )

    def predict(self, inputs: Sequence[Dense]) -> list[MasksPrediction]:
        """The areas in each image, at most one of each class.

        Raises:
            LearningError: there are no maps of an image, or they are not like those it was trained on.
        """
        with one_thread():
            return [self._prediction(unpack(dense)) for dense in inputs]

    def evaluate(self, inputs: Sequence[Dense], targets: Sequence[MasksTarget]) -> Figures:
        """Mean IoU and more on labelled images it was not trained on; areas of classes that it has never seen count as missed.

        Raises:
            NotEnoughLabels: no image has an area, and none is found.
        """
        with one_thread():
            shares = [self._shares(item) for item in decoded_pairs(inputs, targets)]
        return figures(shares, self.classes, "holdout")

    def quality(self, inputs: Sequence[Dense], targets: Sequence[MasksTarget]) -> Floats:
        """Mean IoU in each image over the classes there or found, float64 [n]; 1 where there are none and none are found."""
        with one_thread():
            return np.array([image_quality(self._shares(item)) for item in zip(inputs, targets, strict=True)])

    def probabilities(self, inputs: Sequence[Dense]) -> None:
        """None: an image has not one class."""
        return

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        return {"seen": self._seen, **self._head.arrays, **self._calibration.arrays()}

    def meta(self) -> dict[str, Any]:
        """The rest of the model, as JSON values."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "uncertainty": self.uncertainty,
            "reduction": self.reduction,
            "calibration": self._calibration.method,
            "cv_metrics": self.cv_metrics.to_json() if self.cv_metrics else None,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "MasksLearner":
        """Restore what `arrays` and `meta` gave."""
        calibration = Calibration.from_arrays(arrays, meta["calibration"])
        others = {"seen", *calibration.arrays()}
        head = MaskHead({name: array for name, array in arrays.items() if name not in others})
        metrics = Figures.from_json(meta["cv_metrics"]) if meta["cv_metrics"] else None
        return cls(
            meta["classes"],
            arrays["seen"],
            head,
            calibration,
            uncertainty=meta["uncertainty"],
            reduction=meta.get("reduction", AUTO),
            cv_metrics=metrics,
        )

    def _scaled(self, maps: Maps) -> Floats:
        """Calibrated logits, float32 [seen classes + 1, rows, columns]."""
        logits = self._head(maps.levels, told_logits(maps, [self.classes[number] for number in self._seen]))
        scaled: Floats = np.moveaxis(self._calibration.scaled(np.moveaxis(logits, 0, -1)), -1, 0).astype(np.float32)
        return scaled

    def _prediction(self, maps: Maps) -> MasksPrediction:
        scaled = self._scaled(maps)
        likelihood = np.exp(scaled - scaled.max(axis=0))
        probabilities = likelihood / likelihood.sum(axis=0)
        found = _told_apart(scaled, maps)
        shown = nearest(found, maps.height, maps.width)
        coarse = probabilities.argmax(axis=0)
        masks = [
            Mask.of(
                self.classes[self._seen[column - 1]],
                shown == column,
                expected_dice(probabilities[column], coarse == column),
            )
            for column in np.flatnonzero(np.bincount(found.ravel())).tolist()
            if column
        ]
        return MasksPrediction(
            tuple(masks),
            float(probabilities.max(axis=0).mean()),
            uncertainty(probabilities, self._measure, self.reduction),
        )

    def _shares(self, item: Labelled) -> Floats:
        """Of every class, what is right, found and there in an image: see `areas.overlap_shares`."""
        dense, target = item
        maps = unpack(dense)
        own = np.concatenate([[0], self._seen + 1]).astype(np.min_scalar_type(len(self.classes)))
        truth = class_map(target.masks, self.classes, *working_size(maps.height, maps.width))
        return overlap_shares(own[_told_apart(self._scaled(maps), maps)], truth, len(self.classes))


def _told_apart(scaled: Floats, maps: Maps) -> Ints:
    """The class of each pixel of the image at its working size, as `areas.class_map` numbers them.

    Logits between places give smooth boundaries.
    """
    rivals = np.flatnonzero(np.bincount(scaled.argmax(axis=0).ravel()))
    fine = resampled(scaled[rivals], *working_size(maps.height, maps.width))
    found: Ints = rivals.astype(np.min_scalar_type(len(scaled) - 1))[fine.argmax(axis=0)]
    return found
