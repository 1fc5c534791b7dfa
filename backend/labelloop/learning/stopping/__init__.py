"""Whether more labels are worth their price: what the versions so far tell, put into one sentence."""

from labelloop.learning.stopping.advice import (
    DONE,
    STABLE_APART,
    Budget,
    Evidence,
    Spent,
    StoppingAdvice,
    Verdict,
    advise,
    combine,
)
from labelloop.learning.stopping.agreement import Agreement, agreement_of, pooled
from labelloop.learning.stopping.curve import LEAST_POINTS, CurvePoint, Trend, trend_of
from labelloop.learning.stopping.forecast import Forecast, forecast_of
from labelloop.learning.stopping.stability import Stability, stability_of

__all__ = [
    "DONE",
    "LEAST_POINTS",
    "STABLE_APART",
    "Agreement",
    "Budget",
    "CurvePoint",
    "Evidence",
    "Forecast",
    "Spent",
    "Stability",
    "StoppingAdvice",
    "Trend",
    "Verdict",
    "advise",
    "agreement_of",
    "combine",
    "forecast_of",
    "pooled",
    "stability_of",
    "trend_of",
]
