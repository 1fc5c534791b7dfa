"""What a fine-tuning does at each step, decided by the seed and the step's number alone.

So nothing of a random generator has to be kept for a killed one to go on as if nothing had happened.
"""

import math
from hashlib import sha256

import numpy as np

from labelloop.learning.arrays import Floats, Ints


def rate_share(step: int, steps: int, warm_up: int) -> float:
    """The learning rate at a step, as a share of its highest: a linear rise, then a half cosine down to 0."""
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    passed = (step - warm_up) / max(steps - warm_up, 1)
    return 0.5 * (1 + math.cos(math.pi * min(passed, 1.0)))


def ramp_share(step: int, ramp: int) -> float:
    """The weight of the unlabelled loss at a step, as a share of its highest: exp(-5 (1 - t)^2) (Laine and Aila, 2017)."""
    t = min(1.0, step / ramp) if ramp > 0 else 1.0
    return math.exp(-5 * (1 - t) ** 2)


def epoch_rows(count: int, seed: int, epoch: int) -> Ints:
    """The numbers 0 to count - 1 in the order of one epoch."""
    return np.random.default_rng([seed, 1, epoch]).permutation(count)


def unlabelled_rows(count: int, wanted: int, seed: int, step: int) -> Ints:
    """The unlabelled items of one step, int [min(wanted, count)], none twice."""
    return np.random.default_rng([seed, 2, step]).choice(count, min(wanted, count), replace=False)


def step_seed(seed: int, step: int) -> int:
    """Seed of a step's augmentations and dropout, in [0, 2^63)."""
    return int.from_bytes(sha256(f"{seed} {step}".encode()).digest()[:8], "little") >> 1


def class_weights(counts: Floats, balance: float) -> Floats:
    """A weight for each class, 0 for one that has no item; by item, they average 1.

    Args:
        counts: [C], items of each class.
        balance: 0 gives every item the same weight, 1 every class.
    """
    present = counts > 0
    weights = np.where(present, np.maximum(counts, 1.0) ** -balance, 0.0)
    scaled: Floats = weights * (counts.sum() / max(float(weights @ counts), 1e-12))
    return scaled
