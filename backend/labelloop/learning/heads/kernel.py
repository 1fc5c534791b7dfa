"""Kernel ridge regression: each class's logit is a weighted sum of how alike a row is to some labelled ones."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np

from labelloop.learning.arrays import Array, Floats
from labelloop.learning.choice import TrackRecord
from labelloop.learning.heads.base import Head, Lesson, Recipe

# Labelled rows that others are likened to: with more a version would be large and slow to answer with.
LANDMARKS: Final = 512
# What a squared weight costs beside a squared error, for rows of length 1.
PENALTY: Final = 0.03
# Regression aims at 1 for the class and 0 for the others; so many times that are logits.
SCALE: Final = 7.0


class KernelHead:
    """Logits are weighted sums of exp(cosine - 1) of a row and each landmark, plus bias.

    That is the Gaussian kernel exp(-|a - b|^2 / 2) of rows of length 1.

    Args:
        landmarks: float32 [k, d] of length 1.
        weights: float32 [C, k].
        bias: float32 [C].
    """

    kind: ClassVar[str] = "kernel"

    def __init__(self, landmarks: Floats, weights: Floats, bias: Floats) -> None:
        # safetensors writes an array's memory as it lies, so it must lie in rows.
        self._landmarks, self._weights, self._bias = (
            np.ascontiguousarray(values, dtype=np.float32) for values in (landmarks, weights, bias)
        )

    def logits(self, rows: Floats) -> Floats:
        """Logits [m, C] of rows [m, d]; NaN where a row is not finite."""
        alike = rows @ self._landmarks.T
        alike -= 1
        np.exp(alike, out=alike)
        logits: Floats = alike @ self._weights.T + self._bias
        return logits

    def arrays(self) -> dict[str, Array]:
        """The landmarks, what each weighs for each class, and the bias."""
        return {"landmarks": self._landmarks, "landmark_weights": self._weights, "landmark_bias": self._bias}

    def meta(self) -> dict[str, Any]:
        """Nothing beside the arrays."""
        return {}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> Self:
        """Restore what `arrays` gave."""
        return cls(arrays["landmarks"], arrays["landmark_weights"], arrays["landmark_bias"])


class Kernel(Recipe):
    """Regularised least squares with a Gaussian kernel (Rifkin et al., 2003), of many rows on some of them (Williams and Seeger, 2001).

    Its boundaries may curve, which pays once a class has enough labels to show how.
    """

    name = "kernel"
    labels_a_class = 8
    usual_temperature = 1.15
    track_record = TrackRecord((-0.004, 0.003, 0.003, 0.010, 0.017, 0.036), (0.011, 0.018, 0.019, 0.035, 0.049, 0.071))

    def fit(self, lesson: Lesson, seed: int) -> Head:
        """Train on every row."""
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import Ridge

        kernel: Any = Nystroem(gamma=0.5, n_components=min(LANDMARKS, len(lesson.rows)), random_state=seed)
        # Of rows that are alike weights nearly cancel out; in float32 what is left of them would be noise.
        alike = kernel.fit_transform(lesson.rows.astype(np.float64))
        model: Any = Ridge(PENALTY).fit(alike, np.eye(lesson.classes)[lesson.targets], lesson.weights)
        weights = SCALE * model.coef_ @ kernel.normalization_
        return KernelHead(kernel.components_, weights, SCALE * model.intercept_)
