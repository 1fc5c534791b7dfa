"""How good a text is expected to be, learnt from texts whose quality is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Array, Floats
from labelloop.learning.binary import logistic

# How strongly weights are drawn to where they start, in texts of known quality.
PRIOR: Final = 1.0
STEPS: Final = 50
# Expectations stay this far from what no evidence can promise.
LEAST: Final = 0.001
_FLAT: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Expectation:
    """Expected quality is the logistic function of a weighted sum of signals.

    Attributes:
        weights: float64 [k + 1], of each signal, and the constant last.
    """

    weights: Floats

    @classmethod
    def fit(cls, signals: Floats, quality: Floats, counts: Floats, start: Floats) -> "Expectation":
        """Logistic regression on shares (Papke and Wooldridge, 1996), drawn to weights that hold without evidence.

        Args:
            signals: float64 [n, k] of texts that the signals' makers have not seen the answers to; n may be 0.
            quality: [n] in [0, 1].
            counts: [n], how much each text counts.
            start: [k + 1], the weights to be drawn to.
        """
        middle = signals.mean(axis=0) if len(signals) else np.zeros(signals.shape[1])
        spread = signals.std(axis=0) if len(signals) else np.ones(signals.shape[1])
        design = np.column_stack([signals - middle, np.ones(len(signals))])
        # A signal that never varies teaches nothing, and is held where it starts as if it did.
        pull = PRIOR * np.append(np.where(spread > _FLAT, spread, 1.0) ** 2, 1.0)
        start = np.append(start[:-1], start[-1] + start[:-1] @ middle).astype(np.float64)
        weights = start.copy()
        for _ in range(STEPS):
            expected = logistic(design @ weights)
            slope = design.T @ (counts * (expected - quality)) + pull * (weights - start)
            curve = (design * (counts * expected * (1 - expected))[:, None]).T @ design + np.diag(pull)
            step = np.linalg.solve(curve, slope)
            # Newton's step, kept short: far from the minimum it would overshoot.
            weights = weights - step / max(1.0, float(np.abs(step).max()))
            if float(np.abs(step).max()) < 1e-9:
                break
        return cls(np.append(weights[:-1], weights[-1] - weights[:-1] @ middle))

    def of(self, signals: Floats) -> Floats:
        """Expected quality of signals [n, k], float64 [n] in (0, 1)."""
        return np.clip(logistic(signals @ self.weights[:-1] + self.weights[-1]), LEAST, 1 - LEAST)

    def arrays(self, name: str) -> dict[str, Array]:
        """The fit under a name, ready for safetensors."""
        return {name: self.weights}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], name: str) -> "Expectation":
        """Restore what `arrays` gave."""
        return cls(arrays[name])
