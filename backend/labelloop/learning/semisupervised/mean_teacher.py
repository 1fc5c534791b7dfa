"""Mean Teacher on heads: a student that agrees with its own moving average under noise."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.calibration import log_softmax
from labelloop.learning.heads.base import Head, Lesson, Recipe
from labelloop.learning.heads.linear import LinearHead, fit_linear

STEPS: Final = 200
BATCH: Final = 256
# The teacher averages over about this share of the steps.
DECAY: Final = 0.97
RATE: Final = 2.0
MOMENTUM: Final = 0.9
# Length of the noise beside rows of length 1.
NOISE: Final = 0.5
CONSISTENCY: Final = 5.0
RAMP: Final = 0.4


@dataclass(frozen=True, slots=True)
class Weights:
    """One linear model: `matrix` float64 [C, d] and `bias` float64 [C]."""

    matrix: Floats
    bias: Floats

    def probabilities(self, rows: Floats) -> Floats:
        """Probabilities [m, C] of rows [m, d]."""
        likely: Floats = np.exp(log_softmax(rows @ self.matrix.T + self.bias))
        return likely

    def plus(self, other: "Weights", scale: float) -> "Weights":
        """This model plus `scale` times the other."""
        return Weights(self.matrix + scale * other.matrix, self.bias + scale * other.bias)

    def times(self, scale: float) -> "Weights":
        """This model with every number scaled."""
        return Weights(scale * self.matrix, scale * self.bias)


class MeanTeacher(Recipe):
    """Mean Teacher (Tarvainen and Valpola, 2017) of a linear head, with noise on the features for augmentation.

    The student learns from the labels and is drawn to the teacher's answer for the same row under other noise, the more the
    longer it has learnt. The teacher is the moving average of the student; no gradient reaches it. It is what is kept.
    """

    name = "mean_teacher"
    needs_pool = True

    def fit(self, lesson: Lesson, seed: int) -> Head:
        """Train from the supervised head on, by gradient descent with momentum."""
        start = fit_linear(lesson)
        student = Weights(start.weights.astype(np.float64), start.bias.astype(np.float64))
        if not len(lesson.pool):
            return start
        teacher, speed = student, student.times(0.0)
        generator = np.random.default_rng(seed)
        everything = np.concatenate([lesson.rows, lesson.pool])
        for step in range(STEPS):
            batch = everything[generator.integers(0, len(everything), BATCH)]
            slope = supervised_slope(student, lesson)
            seen, taught = (noisy(batch, generator) for _ in range(2))
            consistent = consistency_slope(student, teacher.probabilities(taught), seen)
            speed = speed.times(MOMENTUM).plus(slope.plus(consistent, CONSISTENCY * ramp(step)), 1.0)
            student = student.plus(speed, -RATE * (1 - step / STEPS))
            teacher = follow(teacher, student)
        return LinearHead(teacher.matrix, teacher.bias)


def supervised_slope(student: Weights, lesson: Lesson) -> Weights:
    """Gradient of the mean weighted log loss on the labels, with the penalty of the lesson's strength."""
    total = lesson.weights.sum()
    wrong = student.probabilities(lesson.rows)
    wrong[np.arange(len(wrong)), lesson.targets] -= 1
    wrong *= lesson.weights[:, None] / total
    return Weights(wrong.T @ lesson.rows + student.matrix / (lesson.strength * total), wrong.sum(axis=0))


def consistency_slope(student: Weights, taught: Floats, rows: Floats) -> Weights:
    """Gradient, by the student alone, of the mean squared difference between its probabilities and the teacher's.

    Args:
        student: the model that learns.
        taught: [m, C], the teacher's probabilities, constants here.
        rows: [m, d], the same rows as the student sees them.
    """
    said = student.probabilities(rows)
    apart = 2 * (said - taught) / len(rows)
    slope = said * (apart - (apart * said).sum(axis=1, keepdims=True))
    return Weights(slope.T @ rows, slope.sum(axis=0))


def follow(teacher: Weights, student: Weights) -> Weights:
    """The teacher after one step: `DECAY` of itself and the rest of the student."""
    return teacher.times(DECAY).plus(student, 1 - DECAY)


def noisy(rows: Floats, generator: np.random.Generator) -> Floats:
    """Rows [m, d] with Gaussian noise whose expected length is `NOISE`."""
    noise = generator.standard_normal(rows.shape, dtype=np.float32)
    result: Floats = rows + noise * np.float32(NOISE / np.sqrt(rows.shape[1]))
    return result


def ramp(step: int) -> float:
    """How much the consistency counts, in (0, 1]: it grows over the first `RAMP` of the steps as exp(-5 (1 - t)^2)."""
    done = min(1.0, (step + 1) / (RAMP * STEPS))
    return float(np.exp(-5 * (1 - done) ** 2))
