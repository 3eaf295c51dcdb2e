"""Curves with intervals in panels, each mixer in a colour and a marker of its own.

For a page of 900 pixels. A mixer looks the same in every figure; the colours are those
of Okabe and Ito, which the colour-blind tell apart (https://jfly.uni-koeln.de/color/).
Lines of mixers that share colour and marker differ in their dashes. `save` of
kws.evaluate.report.page.figures writes a figure as PNG and SVG.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kws.errors import KwsError, require
from kws.evaluate.report.page.figures import GREY, GRID, panel_grid, plain

_BLUE, _VERMILION, _GREEN, _ORANGE, _SKY, _PURPLE, _BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000"
)  # fmt: skip
_LOOKS = {  # of a base or an alias: colour, marker
    "sa": (_BLUE, "o"),
    "xsa": (_VERMILION, "s"),
    "lstm": (_GREEN, "^"),
    "bilstm": (_GREEN, "v"),
    "bilstm_chunked": (_GREEN, "<"),
    "gru": (_GREEN, ">"),
    "approximate": (_ORANGE, "D"),
    "nonapproximate": (_ORANGE, "d"),
    "random": (_SKY, "P"),
    "fixed": (_SKY, "X"),
    "static": (_SKY, "*"),
    "lowrank": (_PURPLE, "h"),
    "memory": (_PURPLE, "p"),
    "none": (GREY, "."),
}
_HYBRID = (_BLACK, "D")
_DASHES = ("-", "--", ":", "-.")
_DODGE = 0.012  # of the width of a panel, between the points of two curves at one place
_MOST_TICKS = 9
_LEGEND = 6  # names in one line of a legend, at most


@dataclass(frozen=True)
class Curve:
    """One line of a figure: a middle and an interval at each x, all of one length.

    mixer: the pattern that gives the line its colour and marker. label: its name in the
    legend.
    """

    mixer: str
    label: str
    x: Sequence[float]
    middle: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def look(mixer: str) -> tuple[str, str]:
    """The colour and marker of a mixer pattern; hybrids (several mixers) share one."""
    specs = {spec.strip() for spec in mixer.split(",")}
    if len(specs) > 1:
        return _HYBRID
    base, *switches = specs.pop().split("+")
    return _LOOKS.get("xsa" if base == "sa" and "xsa" in switches else base, _HYBRID)


def draw_curves(
    panels: Mapping[str, Sequence[Curve]], x_name: str, y_name: str, log_x: bool = False, log_y: bool = False
) -> Any:
    """Panels (title -> curves) of a quantity with intervals, against a length or a
    place; returns a matplotlib Figure.

    All panels share one legend. Curves with the same label have the same mixer, and
    their label stands there once. Raises KwsError where there is nothing to draw.
    """
    if not any(panels.values()):
        raise KwsError("there is nothing to draw: no model has what was asked for")
    labels = list(dict.fromkeys((curve.label, curve.mixer) for curves in panels.values() for curve in curves))
    styles = _styles(labels)
    drawn, grid = panel_grid(len(panels), 3.1, 2.4, alone=(6.4, 3.6))
    handles: dict[str, Any] = {}
    for ax, (title, curves) in zip(grid, panels.items(), strict=False):
        _scale_x(ax, sorted({x for curve in curves for x in curve.x}), log_x)
        for number, curve in enumerate(curves):
            shift = (number - (len(curves) - 1) / 2) * _DODGE
            handles.setdefault(curve.label, _draw_curve(ax, curve, shift, log_x, styles[curve.label]))
        if log_y:
            _log_y(ax)
        ax.set_title(plain(title), fontsize=9, loc="left")
        ax.grid(axis="y", color=GRID, linewidth=0.6)
        ax.set_axisbelow(True)
    drawn.supxlabel(x_name, fontsize=9)
    drawn.supylabel(y_name, fontsize=9)
    names = [plain(name) for name in handles]
    columns = -(-len(names) // -(-len(names) // _LEGEND))
    options = {"ncols": columns, "frameon": False, "fontsize": 9, "handlelength": 2.6}
    drawn.legend(list(handles.values()), names, loc="outside upper center", **options)
    return drawn


def _styles(labels: Sequence[tuple[str, str]]) -> dict[str, dict[str, str]]:
    """The line style of each (label, mixer); mixers of whole segments never have a
    solid line.
    """
    styles: dict[str, dict[str, str]] = {}
    for label, mixer in labels:
        colour, marker = look(mixer)
        taken = [
            style["linestyle"] for style in styles.values() if (style["color"], style["marker"]) == (colour, marker)
        ]
        fit = _DASHES[1:] if "+full" in mixer else _DASHES
        free = [dashes for dashes in fit if dashes not in taken] or fit
        styles[label] = {"color": colour, "marker": marker, "linestyle": free[0]}
    return styles


def _draw_curve(ax: Any, curve: Curve, shift: float, log_x: bool, style: Mapping[str, str]) -> Any:
    """One curve, its points moved aside by `shift` widths of the panel so that
    intervals do not hide each other.
    """
    left, right = ax.get_xlim()
    x = np.asarray(curve.x, float)
    x = x * (right / left) ** shift if log_x else x + (right - left) * shift
    middle = np.asarray(curve.middle)
    whiskers = [middle - np.asarray(curve.low), np.asarray(curve.high) - middle]
    return ax.errorbar(
        x, middle, yerr=np.maximum(whiskers, 0), markersize=4.5, linewidth=1.4, elinewidth=1, capsize=2, **style
    )


def _scale_x(ax: Any, places: Sequence[float], log_x: bool) -> None:
    """An axis that holds these places with a margin, and names them where they are
    few.
    """
    if log_x:
        ax.set_xscale("log")
        around = (places[-1] / places[0]) ** 0.08 if places[-1] > places[0] else 2.0
        ax.set_xlim(places[0] / around, places[-1] * around)
    else:
        around = 0.1 * (places[-1] - places[0]) or 0.5
        ax.set_xlim(places[0] - around, places[-1] + around)
    if len(places) <= _MOST_TICKS:
        ax.set_xticks(places, [f"{place:g}" for place in places])
        ax.minorticks_off()


def _log_y(ax: Any) -> None:
    """A log axis with plain numbers: 1, 2 and 5 of each decade, or powers of ten where
    there are many.
    """
    ticker = require("matplotlib.ticker", extra="score")
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
    ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(ticker.NullLocator())
