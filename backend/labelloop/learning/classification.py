"""The learner of a control that gives each item one class: a calibrated head on cached features."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, TypeGuard

import numpy as np

from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.blending import BlendHead
from labelloop.learning.calibrating import Reliability, held_back_probabilities
from labelloop.learning.calibration import Calibration
from labelloop.learning.candidates import train_candidates
from labelloop.learning.choice import Choice
from labelloop.learning.contest import Outcome
from labelloop.learning.dropout import PASSES, dropout_logits
from labelloop.learning.ensembles import EnsembleHead
from labelloop.learning.evaluation import Metrics, measure
from labelloop.learning.heads import HEADS, STORED, Head, Lesson, LinearHead
from labelloop.learning.learner import Reads, Training
from labelloop.learning.lessons import Items, make_lesson, prepare, prepare_unseen, read_rows, usable
from labelloop.learning.missing_mass import missing_mass
from labelloop.learning.pool_accuracy import Answers
from labelloop.learning.recipes import ensemble_of, methods_named
from labelloop.learning.threads import one_thread
from labelloop.learning.uncertainty import measure_named
from labelloop.records import ClassPrediction, ClassTarget

_ROWS_AT_ONCE: Final = 4096
_KINDS: Final[dict[str, type[Head]]] = {**STORED, EnsembleHead.kind: EnsembleHead, BlendHead.kind: BlendHead}


class ClassificationLearner:
    """A head on centred features of length 1, calibrated on what cross-validation held back.

    It is multinomial logistic regression, or what was trained beside it and does better on labels that neither has seen: a
    head that learnt from items without a label too, or an ensemble. Training needs scikit-learn; predicting needs numpy
    alone.

    Attributes:
        classes: every class of the control, in the config's order; those without a label share what `missing_mass` says.
        uncertainty: the name of the measure of `ClassPrediction.uncertainty`.
        cv_metrics: how models trained on a part of the labels fare on the rest, a tenth or a fifth; None when no class has two.
        cv_answers: what that is measured on; see `Classifier`.
        choice: which head won, by how much, and why; None in versions of before heads were chosen.
        reliability: what the calibration does; None in such versions.
    """

    kind: ClassVar[str] = "classification"
    reads: ClassVar[Reads] = Reads.ROWS

    def __init__(
        self,
        classes: Sequence[str],
        arrays: Mapping[str, Array],
        *,
        uncertainty: str,
        cv_metrics: Metrics | None,
        head: Head | None = None,
        blocks: Sequence[int] = (),
        choice: Choice | None = None,
        reliability: Reliability | None = None,
        missing: float = 0.0,
        cv_answers: Answers | None = None,
    ) -> None:
        self.classes = tuple(classes)
        self.uncertainty = uncertainty
        self.cv_metrics = cv_metrics
        self.cv_answers = cv_answers
        self.choice = choice
        self.reliability = reliability
        self._measure = measure_named(uncertainty)
        self._arrays = dict(arrays)
        self._head: Head = LinearHead.from_arrays(arrays, {}) if head is None else head
        self._blocks = tuple(blocks)
        self._missing = missing
        self._calibration = Calibration.from_arrays(arrays, reliability.method if reliability else "vector")

    @classmethod
    def fit(
        cls,
        features: Floats,
        targets: Sequence[ClassTarget],
        classes: Sequence[str],
        *,
        uncertainty: str = "margin",
        seed: int = 0,
        unlabelled: Floats | None = None,
        holdout: tuple[Floats, Sequence[ClassTarget]] | None = None,
        semi_supervised: str = "auto",
        ensemble: Sequence[str] = (),
        combination: str = "weighted",
        blocks: Sequence[int] = (),
        groups: Ints | None = None,
    ) -> "ClassificationLearner":
        """Train on labelled items, and on others where that helps.

        Args:
            features: [n, d]; a row that is not finite is left out.
            targets: n targets; one whose label is not among `classes` is left out.
            classes: every class of the control.
            uncertainty: `margin`, `least_confidence` or `entropy`.
            seed: decides the folds of the cross-validation, and what else is random in training.
            unlabelled: [m, d], items of the pool; None: nothing is learnt from such.
            holdout: features [h, d] and targets that nothing is trained on, once there are enough of them to be trusted; they
                have a say in the choice between candidates. None: cross-validation alone decides.
            semi_supervised: `auto`, `none`, or the name of the one method to try.
            ensemble: names of heads and methods to try together; a name that comes again is trained on another draw of
                the labels. Empty: no ensemble.
            combination: how its members' answers become one: `average`, `weighted`, `vote` or `stacking`.
            blocks: how many columns of a row are of each backbone; empty: all are of one.
            groups: int [n], the number of each item's group of near-duplicates, which stay in one fold; None: there are none.

        Raises:
            NotEnoughLabels: fewer than two classes have a usable label.
            LearningError: no uncertainty, method, head or combination has that name, or the arrays do not go together.
        """
        measure_named(uncertainty)
        methods = methods_named(semi_supervised)
        others = [HEADS["kernel"], *([ensemble_of(ensemble, combination, blocks)] if ensemble else [])]
        items = prepare(features, targets, classes, blocks, groups)
        lesson, skipped = make_lesson(items, unlabelled, seed)
        unseen = prepare_unseen(items, holdout, classes)
        with one_thread():
            trained = train_candidates(lesson, [*methods, *others], unseen, seed=seed)
        arrays = {"centre": items.centre, "seen": items.seen, **trained.calibration.arrays(), **trained.head.arrays()}
        missing = missing_mass(np.bincount(items.columns), len(classes))
        cv_metrics, cv_answers = _cross_validated(trained, [classes[i] for i in items.seen], items, lesson, missing)
        return cls(
            classes,
            arrays,
            uncertainty=uncertainty,
            cv_metrics=cv_metrics,
            head=trained.head,
            blocks=blocks,
            choice=_explained(trained.choice, skipped if methods else ""),
            reliability=trained.reliability,
            missing=missing,
            cv_answers=cv_answers,
        )

    @classmethod
    def train(cls, training: Training) -> "ClassificationLearner":
        """`fit` under the contract of every learner.

        Raises:
            NotEnoughLabels: fewer than two classes have a usable label.
            LearningError: no uncertainty, method, head or combination has that name, or the arrays do not go together.
        """
        options = training.options
        return cls.fit(
            training.inputs,
            training.targets,
            training.classes,
            uncertainty=options.uncertainty,
            seed=options.seed,
            unlabelled=training.unlabelled,
            holdout=training.holdout,
            semi_supervised=options.semi_supervised,
            ensemble=options.ensemble,
            combination=options.combination,
            blocks=options.blocks,
            groups=training.groups,
        )

    def predict(self, features: Floats) -> list[ClassPrediction]:
        """What the model says of each row of features [n, d].

        Raises:
            LearningError: a row is not finite, or not as long as those the model was trained on.
        """
        probabilities = self.probabilities(features)
        best = probabilities.argmax(axis=1).tolist()
        uncertainty = self._measure(probabilities).tolist()
        return [
            ClassPrediction(self.classes[column], row[column], doubt, dict(zip(self.classes, row, strict=True)))
            for column, doubt, row in zip(best, uncertainty, probabilities.tolist(), strict=True)
        ]

    def probabilities(self, features: Floats) -> Floats:
        """Calibrated probabilities [n, C] of features [n, d], float64, columns in the order of `classes`.

        Raises:
            LearningError: a row is not finite, or not as long as those the model was trained on.
        """
        seen = self._arrays["seen"]
        probabilities = np.full(
            (len(features), len(self.classes)), self._missing / max(len(self.classes) - seen.size, 1)
        )
        for start, rows in self._scaled(features):
            found = self._calibration.probabilities(self._head.logits(rows))
            probabilities[start : start + len(rows), seen] = (1 - self._missing) * found
        return probabilities

    def members(self, features: Floats, seed: int = 0) -> Floats:
        """What each member of an ensemble says, or a single head in each pass with dropout.

        Their disagreement is what the model does not know (BALD, Houlsby et al., 2011; Gal et al., 2017).

        Args:
            features: [n, d].
            seed: decides what each pass leaves out.

        Returns:
            float32 [k, n, C], probabilities, columns in the order of `classes`.

        Raises:
            LearningError: a row is not finite, or not as long as those the model was trained on.
        """
        count = len(self._head.members) if _is_several(self._head) else PASSES
        said = np.zeros((count, len(features), len(self.classes)), dtype=np.float32)
        for start, rows in self._scaled(features):
            said[:, start : start + len(rows), self._arrays["seen"]] = self._said_by_each(rows, seed)
        return said

    def _said_by_each(self, rows: Floats, seed: int) -> Floats:
        if _is_several(self._head):
            return self._head.member_probabilities(rows)
        return np.stack([self._calibration.probabilities(said) for said in dropout_logits(self._head, rows, seed)])

    def _scaled(self, features: Floats) -> Iterator[tuple[int, Floats]]:
        """The rows as the head reads them, some thousands at once with the number of the first: a copy of all is large."""
        for start in range(0, max(len(features), 1), _ROWS_AT_ONCE):
            yield start, read_rows(features[start : start + _ROWS_AT_ONCE], self._arrays["centre"], self._blocks)

    def evaluate(self, features: Floats, targets: Sequence[ClassTarget]) -> Metrics:
        """Compare with labelled items that were held out; what `fit` would leave out is left out.

        Raises:
            NotEnoughLabels: no item is left.
        """
        kept, labels, _ = usable(features, targets, self.classes)
        return measure(
            self.probabilities(features[kept]), [self.classes[i] for i in labels], self.classes, source="holdout"
        )

    def quality(self, features: Floats, targets: Sequence[ClassTarget]) -> Floats:
        """1 for each item it gives the right class, 0 for each other; float64 [n]."""
        if not targets:
            return np.zeros(0)
        said = self.predict(features)
        return np.array([float(p.label == t.label) for p, t in zip(said, targets, strict=True)])

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        return dict(self._arrays)

    def meta(self) -> dict[str, Any]:
        """The rest of the model, as JSON values."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "uncertainty": self.uncertainty,
            "cv_metrics": self.cv_metrics.to_json() if self.cv_metrics else None,
            "head": {"kind": self._head.kind, **self._head.meta()},
            "blocks": list(self._blocks),
            "choice": self.choice.to_json() if self.choice else None,
            "calibration": self.reliability.to_json() if self.reliability else None,
            "missing": self._missing,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "ClassificationLearner":
        """Restore what `arrays` and `meta` gave, also of versions that knew one head only."""
        head = meta.get("head") or {"kind": LinearHead.kind}
        choice, calibration = meta.get("choice"), meta.get("calibration")
        return cls(
            meta["classes"],
            arrays,
            uncertainty=meta["uncertainty"],
            cv_metrics=Metrics.from_json(meta["cv_metrics"]) if meta["cv_metrics"] else None,
            head=_KINDS[head["kind"]].from_arrays(arrays, head),
            blocks=meta.get("blocks", ()),
            choice=Choice.from_json(choice) if choice else None,
            reliability=Reliability.from_json(calibration) if calibration else None,
            missing=meta.get("missing", 0.0),
        )


def _is_several(head: Head) -> TypeGuard[EnsembleHead]:
    """Whether a head has members that may disagree."""
    return isinstance(head, EnsembleHead) and len(head.members) > 1


def _explained(choice: Choice, skipped: str) -> Choice:
    if not skipped:
        return choice
    return replace(choice, reason=f"{choice.reason.removesuffix('.')}; {skipped}.")


def _cross_validated(
    trained: Outcome, seen: Sequence[str], items: Items, lesson: Lesson, missing: float
) -> tuple[Metrics | None, Answers | None]:
    """The figures of cross-validation, and the answers they are measured on, less sure by what goes to classes without a label."""
    if trained.rows.size == 0:
        return None, None
    targets, weights = items.columns[trained.rows], items.weights[trained.rows]
    said = held_back_probabilities(trained.calibration, trained.logits, targets, weights, trained.winner.usual)
    labels, untested = [seen[column] for column in targets], int((lesson.folds < 0).sum())
    answers = Answers((1 - missing) * said.max(axis=1), said.argmax(axis=1) == targets, untested)
    return measure(said, labels, seen, source="cross-validation", untested=untested), answers
