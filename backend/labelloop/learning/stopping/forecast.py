"""What the next labels would bring, read off the learning curve so far."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.intervals import CONFIDENCE
from labelloop.learning.stopping.curve import LEAST_POINTS, CurvePoint, cleaned, noise_of

AHEAD: Final = 100
DRAWS: Final = 400
PARAMETERS: Final = 3
# Exponents of the power law: from nearly flat on a logarithmic axis to an error that falls as fast as 1 / labels; faster ones fit a
# steep start well and then promise too little.
EXPONENTS: Final = np.geomspace(0.1, 1.0, 16)
# A curve is not read further than it has been seen: the labels must have grown by this factor between first and last point.
LEAST_SPAN: Final = 1.5


@dataclass(frozen=True, slots=True)
class Forecast:
    """What more labels would bring.

    Attributes:
        ahead: how many more labels.
        gain: accuracy they would add, in [0, 1].
        low: lower end of the gain's 95 % interval.
        high: upper end.
        points: versions it is read off.
    """

    ahead: int
    gain: float
    low: float
    high: float
    points: int


def forecast_of(points: Iterable[CurvePoint], ahead: int = AHEAD, seed: int = 0) -> Forecast | None:
    """Fit an inverse power law, accuracy = a - b * labels^-c with 0 <= a <= 1, b >= 0 and 0.1 <= c <= 1, and read the gain off it.

    The law and the weights, which grow with the labels, are those of Figueroa et al. (2012). The interval is a parametric
    bootstrap: values scattered around the fit as the measured ones are, and moved together as values measured on the same few
    items are, each set fitted anew. It is of the curve: a single version may lie beside it. And it does not know of what the
    law leaves out, such as a class nobody has labelled yet.

    Args:
        points: of one kind of measurement, in any order.
        ahead: how many more labels.
        seed: decides the draws.

    Returns:
        The forecast; None with fewer than five usable points, or when the labels have not grown by half between the first and
        the last.
    """
    usable = cleaned(points)
    if len(usable) < LEAST_POINTS or usable[-1].labels < LEAST_SPAN * usable[0].labels:
        return None
    labels = np.array([point.labels for point in usable])
    values = np.array([point.value for point in usable])
    weights = labels / labels.mean()
    fitted, gain = _fit(labels, values[None, :], weights, ahead)
    left = values - fitted[0]
    scatter = float(weights @ left**2) / max(len(usable) - PARAMETERS, 1)
    noise = np.diag(scatter / weights) + noise_of(usable)
    drawn = fitted + np.random.default_rng(seed).multivariate_normal(np.zeros(len(usable)), noise, DRAWS, method="eigh")
    _, gains = _fit(labels, drawn, weights, ahead)
    low, high = np.quantile(gains, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Forecast(ahead, float(gain[0]), float(low), float(high), len(usable))


def _fit(labels: Ints, values: Floats, weights: Floats, ahead: int) -> tuple[Floats, Floats]:
    """Weighted least squares of each row of values [m, n]: the fitted values [m, n] and the gains [m].

    With the exponent given, the rest is a straight line, so every exponent is tried on every row at once.
    """
    at = labels[None, :] ** -EXPONENTS[:, None]  # [e, n]
    share = weights / weights.sum()
    at_mean = at @ share
    away = at - at_mean[:, None]
    spread = (away**2) @ share
    mean = values @ share
    steepness = np.maximum(-((values - mean[:, None]) @ (away * share).T) / spread, 0.0)  # [m, e]
    ceiling = mean[:, None] + steepness * at_mean
    # Where the line would end above 1 it is held there, and the steepness is what then fits best.
    held = np.maximum((1 - values) @ (at * share).T / ((at**2) @ share), 0.0)
    above = ceiling > 1
    ceiling, steepness = np.where(above, 1.0, ceiling), np.where(above, held, steepness)
    curves = ceiling[:, :, None] - steepness[:, :, None] * at[None, :, :]  # [m, e, n]
    best = np.argmin(((curves - values[:, None, :]) ** 2) @ share, axis=1)
    rows = np.arange(len(values))
    last = float(labels[-1])
    fall = last**-EXPONENTS - (last + ahead) ** -EXPONENTS
    return curves[rows, best], steepness[rows, best] * fall[best]
