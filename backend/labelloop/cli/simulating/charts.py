"""Charts as SVG, written by hand: lines with bands, and stacked bars. Colours are the page's CSS variables."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 760
HEIGHT: Final = 380
LEFT: Final = 112
"""Room for `100.0%` beside the axis' name where a small screen enlarges what is written."""
RIGHT: Final = 16
TOP: Final = 14
BOTTOM: Final = 52
APART: Final = 64
"""How far the numbers of labels below a chart lie from each other at least; small screens enlarge what is written."""
BAND: Final = 0.18
"""How opaque a band is, where there are few; many share `BANDS` between them."""
BANDS: Final = 0.9
COLOURS: Final = 10
"""How many colours the page has; further series begin again, with dashes."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line.

    Attributes:
        name: for the legend.
        across: values along the horizontal axis, ascending.
        up: values along the vertical axis, at least 0.
        error: half the height of the band at each, which is cut off where no value can be; zeros draw none.
    """

    name: str
    across: Sequence[float]
    up: Sequence[float]
    error: Sequence[float]


@dataclass(frozen=True, slots=True)
class Axes:
    """What a chart's axes say.

    Attributes:
        across: label of the horizontal one.
        up: label of the vertical one.
        percent: the vertical values are shares.
        doubling: the horizontal axis is logarithmic, for values that double.
    """

    across: str
    up: str
    percent: bool = True
    doubling: bool = False


def line_chart(series: Sequence[Series], axes: Axes) -> str:
    """Lines, each with a band around it, and a legend above."""
    bands = [_band(one, axes) for one in series]
    lowest, highest = min(low for band in bands for low, _ in band), max(high for band in bands for _, high in band)
    ticks = nice_ticks(0.9 if axes.percent and lowest == 1 else lowest, highest)  # nothing lies above 100%
    across = [value for one in series for value in one.across]
    scale = math.log2 if axes.doubling else float
    place_x = _placing(scale(min(across)), scale(max(across)), LEFT, WIDTH - RIGHT)
    place_y = _placing(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP)
    round_values = nice_ticks(min(across), max(across), inside=True)
    ticks_x = sorted(set(across)) if axes.doubling else [value for value in round_values if value == int(value)]
    places = apart([(value, place_x(scale(value))) for value in ticks_x])
    parts = [*_grid_up(ticks, place_y, axes), *_grid_across(places, axes)]
    # Lines lie above all bands, and many bands are faint, or they would take the lines' colours.
    opacity = min(BAND, BANDS / len(series))
    for number, (one, band) in enumerate(zip(series, bands, strict=True)):
        if any(one.error):
            edges = [
                (place_x(scale(x)), place_y(low), place_y(high))
                for x, (low, high) in zip(one.across, band, strict=True)
            ]
            parts.append(_drawn_band(number, edges, opacity))
    for number, one in enumerate(series):
        points = [(place_x(scale(x)), place_y(y)) for x, y in zip(one.across, one.up, strict=True)]
        parts += _line(number, one, points, axes)
    return legend([one.name for one in series]) + _svg(parts, f"{axes.up} by {axes.across}")


def stacked_chart(shares: Mapping[str, Sequence[float]], rounds: Sequence[int], axes: Axes) -> str:
    """Bars of shares that sum to 1, one for each round; the legend is the caller's, for several charts have the same."""
    place_y = _placing(0, 1, HEIGHT - BOTTOM, TOP)
    step = (WIDTH - RIGHT - LEFT) / len(rounds)
    centres = [(labels, LEFT + (place + 0.5) * step) for place, labels in enumerate(rounds)]
    parts = [*_grid_up([0, 0.25, 0.5, 0.75, 1], place_y, axes), *_grid_across(apart(centres), axes)]
    below = [0.0] * len(rounds)
    for number, (label, values) in enumerate(shares.items()):
        for place, value in enumerate(values):
            top = place_y(below[place] + value)
            said = escape(f"{label}: {value:.0%} of {rounds[place]:,} labels")
            parts.append(
                f'<rect x="{centres[place][1] - 0.4 * step:.1f}" y="{top:.1f}" width="{0.8 * step:.1f}" '
                f'height="{max(place_y(below[place]) - top, 0):.1f}" fill="var(--c{number % COLOURS})"><title>{said}</title></rect>'
            )
            below[place] += value
    return _svg(parts, f"{axes.up} by {axes.across}")


def legend(names: Sequence[str]) -> str:
    """Names with their colours."""
    items = "".join(
        f'<li><svg width="22" height="10" aria-hidden="true"><line x1="0" x2="22" y1="5" y2="5" stroke="var(--c{n % COLOURS})" '
        f'stroke-width="4"{_dashes(n)}/></svg>{escape(name)}</li>'
        for n, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def nice_ticks(low: float, high: float, *, inside: bool = False) -> list[float]:
    """About five round values that enclose a range, or lie inside it."""
    span = (high - low) or abs(high) or 1.0
    raw = span / 5
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = (
        (math.ceil(low / step), math.floor(high / step)) if inside else (math.floor(low / step), math.ceil(high / step))
    )
    return [round(number * step, 10) for number in range(first, max(last, first + (not inside)) + 1)]


def apart(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of values and their places, ascending, as many as can be written beside each other; the last one is."""
    kept: list[tuple[float, float]] = []
    for value, x in reversed(places):
        if not kept or kept[-1][1] - x >= APART:
            kept.append((value, x))
    return kept[::-1]


def _placing(low: float, high: float, start: float, stop: float) -> Callable[[float], float]:
    width = (high - low) or 1.0
    return lambda value: start + (value - low) / width * (stop - start)


def _grid_up(ticks: Sequence[float], place: Callable[[float], float], axes: Axes) -> Iterator[str]:
    exact = (digits for digits in range(4) if all(round(value, digits + 2) == round(value, 9) for value in ticks))
    digits = next(exact, 4)
    for value in ticks:
        y = place(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_written(value, axes, digits)}</text>'
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield f'<text class="axis" transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">{escape(axes.up)}</text>'


def _grid_across(ticks: Sequence[tuple[float, float]], axes: Axes) -> Iterator[str]:
    base = HEIGHT - BOTTOM
    yield f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>'
    for value, x in ticks:
        yield f'<line class="base" x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 5}"/>'
        yield f'<text x="{x:.1f}" y="{base + 22}" text-anchor="middle">{value:,.0f}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text class="axis" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(axes.across)}</text>'


def _band(series: Series, axes: Axes) -> list[tuple[float, float]]:
    """Low and high ends of the band, within what the values can be."""
    most = 1.0 if axes.percent else math.inf
    return [(max(up - error, 0.0), min(up + error, most)) for up, error in zip(series.up, series.error, strict=True)]


def _drawn_band(number: int, edges: Sequence[tuple[float, float, float]], opacity: float) -> str:
    upper = [f"{x:.1f},{high:.1f}" for x, _, high in edges]
    lower = [f"{x:.1f},{low:.1f}" for x, low, _ in reversed(edges)]
    return f'<polygon points="{" ".join(upper + lower)}" fill="var(--c{number % COLOURS})" opacity="{opacity:.2g}"/>'


def _line(number: int, series: Series, points: Sequence[tuple[float, float]], axes: Axes) -> Iterator[str]:
    colour = f"var(--c{number % COLOURS})"
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2.2"{_dashes(number)}/>'
    for labels, up, error, (x, y) in zip(series.across, series.up, series.error, points, strict=True):
        said = f"{series.name}, {labels:,.0f} labels: {_written(up, axes, 1)}" + (
            f" ± {_written(error, axes, 1)}" if error else ""
        )
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{escape(said)}</title></circle>'


def _written(value: float, axes: Axes, digits: int) -> str:
    return f"{value:.{digits}%}" if axes.percent else f"{value:.3g}"


def _dashes(number: int) -> str:
    return ' stroke-dasharray="6 4"' if number >= COLOURS else ""


def _svg(parts: Sequence[str], title: str) -> str:
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
