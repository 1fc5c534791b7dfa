"""Made items whose classes or ratings a model can learn."""

from collections.abc import Sequence

import numpy as np

from labelloop.learning import Training, TrainingOptions
from labelloop.records import ClassTarget, SetTarget

TAGS = ("red", "round", "heavy", "never")
STARS = ("1", "2", "3", "4", "5")


def tagged(count: int, seed: int = 0) -> tuple[np.ndarray, list[SetTarget]]:
    """Rows, and the classes of `TAGS` that each has: about half are red, a third round, a tenth heavy, none the last."""
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=(count, 3))
    rows = latent @ np.random.default_rng(9).normal(size=(3, 12)) + 0.3 * generator.normal(size=(count, 12))
    has = latent > np.array([0.0, 0.5, 1.3])
    return rows.astype(np.float32), [SetTarget(tuple(sorted(np.array(TAGS[:3])[one].tolist()))) for one in has]


def rated(count: int, seed: int = 0) -> tuple[np.ndarray, list[ClassTarget]]:
    """Rows, and the rating of each by a hidden quality that they tell something of."""
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=(count, 4))
    rows = latent @ np.random.default_rng(9).normal(size=(4, 16)) + 0.5 * generator.normal(size=(count, 16))
    place = np.digitize(latent[:, 0] + 0.3 * generator.normal(size=count), [-1.0, -0.3, 0.3, 1.0])
    return rows.astype(np.float32), [ClassTarget(STARS[one]) for one in place]


def lesson(rows: np.ndarray, targets: Sequence[object], classes: Sequence[str], **options: object) -> Training:
    """What a learner is trained on."""
    return Training(rows, list(targets), classes, options=TrainingOptions(**options))  # type: ignore[arg-type]
