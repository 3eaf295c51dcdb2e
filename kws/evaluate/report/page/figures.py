"""A report's charts as PNG and SVG, for papers and slides.

The same numbers as on the page (kws.evaluate.report.page.charts), drawn without pyplot,
so that no state is shared.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kws.digits import figure
from kws.errors import require
from kws.evaluate.report.model import Interval, KeywordReport, Report
from kws.evaluate.report.page.charts import (
    Axes,
    Curve,
    axes,
    curve,
    earlier,
    histogram,
    name_of,
    unsupported,
)

INK, GREY, GRID = "#1c1b1a", "#63605b", "#e3dfd8"
_MISS, _ACCEPT = "#2563b8", "#c8402f"
_OTHER, _SHADE = "#c9c4bb", "#786e5f"
_DASHES = (0, (3, 1.5))
_COLOURS = ("#14746f", "#c2571a", "#5b4bb5", "#b3266b", "#4c7a12", "#1f6fc0", "#8a5a00", "#555f6b")
_TOGETHER = 3  # curves in one panel
_PNG_DPI = 300
_COLUMN, _PAGE = 3.5, 7.1  # widths in inches in which papers print
_DET_TEXT = 7  # points


class Zero(NamedTuple):
    """The places on the log axes at which zeros are drawn."""

    fa_per_hour: float
    frr: float


def write_figures(report: Report, folder: Path) -> list[Path]:
    """Writes det, scores and conditions, each as .png and .svg, into `folder`, as far
    as there is data for them.

    Returns the paths that were written. Raises KwsError without matplotlib.
    """
    drawings: dict[str, Callable[[Report], Any]] = {}
    if any(_has_curve(keyword) for keyword in report.keywords.values()):
        drawings["det"] = draw_det
    drawings["scores"] = draw_scores
    if len(report.conditions) > 1 and report.all.points[0].positives:
        drawings["conditions"] = draw_conditions
    return [path for name, draw in drawings.items() for path in save(draw(report), folder / name)]


def save(drawn: Any, stem: Path) -> list[Path]:
    """Writes a figure to `stem` with .png and .svg behind it, the same figure to the
    same bytes, and returns the two.

    Raises KwsError without matplotlib.
    """
    written = []
    with require("matplotlib", extra="score").rc_context({"svg.hashsalt": "kws"}):
        for kind, more in (("png", {"dpi": _PNG_DPI}), ("svg", {"metadata": {"Date": None}})):
            path = stem.with_name(f"{stem.name}.{kind}")
            drawn.savefig(path, facecolor="white", **more)
            written.append(path)
    return written


def draw_det(report: Report) -> Any:
    """FRR against false accepts per hour on log axes; zeros have a strip of their own.
    Returns a matplotlib Figure.

    As wide as a paper's column, as a page for more than eight keywords. More than three
    have a panel each, with the others in grey, since their bands would hide each other.
    The legend says what else is drawn.
    """
    curves = {name: curve(keyword) for name, keyword in report.keywords.items() if _has_curve(keyword)}
    before = {name: curve(keyword) for name, keyword in earlier(report).items() if name in curves}
    panels = [list(curves)] if len(curves) <= _TOGETHER else [[name] for name in curves]
    columns = 1 if len(panels) == 1 else 2 if len(panels) <= 8 else 4
    rows = -(-len(panels) // columns)
    size = (_COLUMN if columns < 4 else _PAGE, (3.0 if columns == 1 else 1.55 * rows) + 0.9)
    drawn, grid = _grid(len(panels), rows, columns, size)
    limits = axes(report)
    zero = Zero(limits.fa_per_hour[0] / 1.8, limits.frr[0] / 1.5)
    for number, (ax, chosen) in enumerate(zip(grid, panels, strict=False)):
        for name in (name for name in curves if name not in chosen):  # in order: the same bytes each time
            ax.plot(*_line(curves[name], zero), color=_OTHER, linewidth=0.7)
        for name in chosen:
            _draw_curve(ax, report.keywords[name], curves[name], zero, _COLOURS[chosen.index(name)], before.get(name))
        _log_axes(ax, limits, zero, room=(12, 20) if columns == 1 else (5, 10))
        _shade(ax, limits, zero, report.keywords[chosen[0]].hours)
        if len(panels) > 1:
            ax.set_title(_said(report, chosen[0]), fontsize=_DET_TEXT, pad=3)
        outer = {"labelbottom": number + columns >= len(panels), "labelleft": number % columns == 0}
        ax.tick_params(labelsize=_DET_TEXT - 1, length=2, pad=1.5, **outer)
    against = report.comparison.against if before and report.comparison else None
    _legend(drawn, [] if len(panels) > 1 else [_said(report, name) for name in curves], len(panels) > 1, against)
    drawn.supxlabel("false accepts per hour", fontsize=_DET_TEXT)
    drawn.supylabel("share missed", fontsize=_DET_TEXT)
    return drawn


def _said(report: Report, name: str) -> str:
    return f"{plain(name)}, {report.keywords[name].positives} said"


def _legend(drawn: Any, names: Sequence[str], others: bool, against: str | None) -> None:
    """The legend above a DET figure. names: of the curves that have a colour each."""
    lines, patches = (require(f"matplotlib.{part}", extra="score") for part in ("lines", "patches"))
    one = _COLOURS[0] if len(names) <= 1 else INK

    def line(label: str, **style: Any) -> Any:
        return lines.Line2D([], [], label=label, **{"color": one, "linewidth": 1.5, **style})

    def mark(label: str, shape: str, size: float) -> Any:
        return line(label, marker=shape, markersize=size, linestyle="", markeredgecolor="white", markeredgewidth=0.5)

    drawn.legend(
        handles=[
            *(line(name, color=colour) for name, colour in zip(names, _COLOURS, strict=False)),
            *([line("the other keywords", color=_OTHER, linewidth=0.7)] if others else []),
            *([line(f"{plain(against)}, on its report’s audio", linestyle=_DASHES, linewidth=1)] if against else []),
            mark("own threshold", "D", 5),
            mark("the rates asked for", "o", 4),
            line("95 % interval, false accepts", linewidth=0.7),
            patches.Patch(label="95 % interval, share missed", color=one, alpha=0.2, linewidth=0),
            patches.Patch(label="too few hours to show", color=_SHADE, alpha=0.12, linewidth=0),
        ],
        loc="outside upper center",
        ncols=2 if drawn.get_figwidth() < _PAGE else 4,
        frameon=False,
        fontsize=_DET_TEXT - 0.5,
        handlelength=1.6,
        columnspacing=1.2,
        labelspacing=0.3,
    )


def draw_scores(report: Report) -> Any:
    """Histograms of the scores of each keyword: words said (up) and false accepts
    (down), on square-root axes.

    The line is the keyword's own threshold. Returns a matplotlib Figure.
    """
    names = list(report.keywords)
    drawn, grid = panel_grid(len(names), 3.2, 1.7, alone=(5.0, 3.0))
    for ax, name in zip(grid, names, strict=False):
        bins = histogram(report, name)
        wide = bins.edges[1] - bins.edges[0]
        ax.bar(bins.edges[:-1], [n**0.5 for n in bins.positives], wide * 0.9, align="edge", color=_MISS)
        ax.bar(bins.edges[:-1], [-(n**0.5) for n in bins.false_accepts], wide * 0.9, align="edge", color=_ACCEPT)
        ax.axhline(0, color=GREY, linewidth=0.6)
        threshold = report.keywords[name].threshold
        if threshold is not None:
            ax.axvline(threshold, color=INK, linewidth=1)
        most = (max(bins.positives), max(bins.false_accepts))
        ax.set_yticks([most[0] ** 0.5, 0, -(most[1] ** 0.5)], [str(most[0]), "0", str(most[1])])
        ax.set(xlim=(0, 1), title=plain(name))
        ax.title.set_size(9)
    drawn.supxlabel("score (up: words said, down: false accepts, per bin)", fontsize=9)
    return drawn


def draw_conditions(report: Report) -> Any:
    """FRR by condition with Wilson's interval, of all keywords together, at each
    operating point. Returns a Figure.

    Operating points with the same counts everywhere are drawn once.
    """
    drawn, (ax,) = panel_grid(1, 0.0, 0.0, alone=(6.8, 3.4))
    names = report.conditions
    together: dict[str, list[str]] = {}
    shares: dict[str, list[Interval]] = {}
    for number, point in enumerate(report.all.points):
        counts = [report.all.conditions[name][number] for name in names]
        key = str([count.misses for count in counts])
        together.setdefault(key, []).append(name_of(point.target))
        shares[key] = [count.frr for count in counts if count.frr is not None]
    for number, (key, titles) in enumerate(together.items()):
        offset = (number - (len(together) - 1) / 2) * 0.12
        style = {"color": _COLOURS[number % len(_COLOURS)], "label": "\n".join(titles)}
        where, values = [place + offset for place in range(len(names))], [100 * share[0] for share in shares[key]]
        ax.errorbar(where, values, yerr=_whiskers(shares[key]), fmt="o", markersize=4, **style)
    ax.set_xticks(range(len(names)), map(plain, names))
    ax.set_ylim(bottom=0)
    ax.set_ylabel("missed, % (95 % interval)")
    ax.grid(axis="y", color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


def plain(name: str) -> str:
    """A name in which matplotlib finds no formula."""
    return name.replace("$", r"\$")


def _has_curve(keyword: KeywordReport) -> bool:
    return bool(keyword.positives and keyword.hours)


def panel_grid(count: int, width: float, height: float, alone: tuple[float, float]) -> tuple[Any, list[Any]]:
    """A new figure with `count` panels of this size in inches, or one of the size
    `alone`, and the axes of all.
    """
    columns = 1 if count == 1 else 3 if count <= 9 else 5
    rows = -(-count // columns)
    return _grid(count, rows, columns, alone if count == 1 else (width * columns, height * rows + 0.3))


def _grid(count: int, rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    """A new figure of this size in inches with `count` panels in rows and columns, and
    the axes of all.
    """
    drawn = require("matplotlib.figure", extra="score").Figure(figsize=size, layout="constrained")
    grid = drawn.subplots(rows, columns, squeeze=False).ravel().tolist()
    for number, ax in enumerate(grid):
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8, colors=GREY)
        ax.set_visible(number < count)
    return drawn, grid


def _whiskers(shares: Sequence[Interval]) -> list[list[float]]:
    low = [100 * (value - bottom) for value, bottom, _ in shares]
    high = [100 * (top - value) for value, _, top in shares]
    return [low, high]


def _line(found: Curve, zero: Zero) -> tuple[list[float], list[float]]:
    """The coordinates of the points of a curve, zeros in their strips."""
    assert found.frr is not None and found.fa_per_hour is not None
    return [rate[0] or zero.fa_per_hour for rate in found.fa_per_hour], [share[0] or zero.frr for share in found.frr]


def _draw_curve(ax: Any, keyword: KeywordReport, found: Curve, zero: Zero, colour: str, before: Curve | None) -> None:
    """One curve with its band, and marks with bars; dashed the curve of an earlier
    report.
    """
    assert found.frr is not None and found.fa_per_hour is not None
    x, y = _line(found, zero)
    low, high = ([max(share[part], zero.frr) for share in found.frr] for part in (1, 2))
    ax.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
    if before:
        ax.plot(*_line(before, zero), linewidth=1, color=colour, linestyle=_DASHES)
    ax.plot(x, y, linewidth=1.5, color=colour)
    for point in reversed(keyword.points):  # its own last, above the others
        assert point.threshold is not None
        at = found.thresholds.index(point.threshold)
        _, least, most = found.fa_per_hour[at]
        own = point.target is None
        ax.plot([max(least, zero.fa_per_hour), most], [y[at], y[at]], color=colour, linewidth=0.7)
        ax.plot(x[at], y[at], "D" if own else "o", color=colour, markersize=5 if own else 4, markeredgecolor="white",
                markeredgewidth=0.5)  # fmt: skip


def _log_axes(ax: Any, limits: Axes, zero: Zero, room: tuple[int, int]) -> None:
    """Log axes with plain numbers, and a strip for zeros before each.

    room: for how many numbers there is room on x and y, beyond which they stand at
    powers of ten only.
    """
    ticker = require("matplotlib.ticker", extra="score")
    ax.set(xscale="log", yscale="log", ylim=(zero.frr / 1.2, limits.frr[1]))
    ax.set_xlim(zero.fa_per_hour / 1.25, limits.fa_per_hour[1])
    for axis, (low, high), scale, unit, (nothing, where), most in (
        (ax.xaxis, limits.fa_per_hour, 1, "", ("0", zero.fa_per_hour), room[0]),
        (ax.yaxis, limits.frr, 100, " %", ("none", zero.frr), room[1]),
    ):
        marks = [m * 10.0**e for e in range(-6, 4) for m in (1, 2, 5) if low * 1.05 <= m * 10.0**e <= high * 1.001]
        names = [figure(scale * mark) + unit for mark in marks]
        axis.set_major_locator(ticker.FixedLocator([where, *marks]))
        shown = [name if len(marks) <= most or name.strip("0.% ") == "1" else "" for name in names]
        axis.set_major_formatter(ticker.FixedFormatter([nothing, *shown]))
        axis.set_minor_locator(ticker.NullLocator())
    ax.grid(color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.axvline(limits.fa_per_hour[0], color=GREY, linewidth=0.5, linestyle=":")
    ax.axhline(limits.frr[0], color=GREY, linewidth=0.5, linestyle=":")


def _shade(ax: Any, limits: Axes, zero: Zero, hours: float) -> None:
    """Greys the rates that `hours` cannot show."""
    edge = min(unsupported(hours), limits.fa_per_hour[1])
    ax.axvspan(zero.fa_per_hour / 1.25, edge, color=_SHADE, alpha=0.12, linewidth=0, zorder=0)
