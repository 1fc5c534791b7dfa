"""From grey values of any range to a picture."""

from typing import Final

import numpy as np
from PIL import Image

from labelloop.learning.arrays import Floats

# Shares of the values below black and above white, where a file does not say: a few stray ones must not take the range.
DARKEST: Final = 0.005
BRIGHTEST: Final = 0.995


def usual_range(values: Floats) -> tuple[float, float]:
    """The values that become black and white where a file does not say: percentiles, or the extremes where those are equal."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = np.quantile(known, [DARKEST, BRIGHTEST])
    return (float(low), float(high)) if high > low else (float(known.min()), float(known.max()))


def stretched(values: Floats, low: float, high: float) -> Floats:
    """Values [height, width] as brightness in [0, 1]: `low` becomes 0, `high` 1; what is not finite, and an even image, 0."""
    span = high - low
    # In place, since a large image takes a gigabyte each time.
    shares = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    shares -= low
    shares /= span if span > 0 else 1.0
    return np.clip(shares, 0.0, 1.0, out=shares)


def picture(brightness: Floats) -> Image.Image:
    """Brightness [height, width], or [height, width, 3] of colours, in [0, 1] as an RGB image."""
    scaled = brightness * 255
    return Image.fromarray(np.rint(scaled, out=scaled).astype(np.uint8)).convert("RGB")
