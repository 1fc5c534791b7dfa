"""Figures of many measurements."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

MS = 1000.0


def milliseconds(seconds: Sequence[float]) -> dict[str, Any]:
    """Count and percentiles of durations, in milliseconds."""
    values = np.asarray(seconds) * MS
    return {
        "n": len(values),
        "median_ms": round(float(np.median(values)), 2),
        "p95_ms": round(float(np.percentile(values, 95)), 2),
        "p99_ms": round(float(np.percentile(values, 99)), 2),
        "max_ms": round(float(values.max()), 2),
    }


def medians(seconds: Sequence[float]) -> dict[str, float]:
    """Median and maximum of a few durations, in seconds."""
    return {"median": round(statistics.median(seconds), 2), "max": round(max(seconds), 2)}
