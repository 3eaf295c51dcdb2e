"""A report's headline and main table as HTML, and the parts of its other tables.

Together with kws.evaluate.report.page.sections it makes everything that the page shows
without a script.
"""

import html
from collections.abc import Callable, Iterable, Sequence

from kws.digits import figure, percent
from kws.evaluate.count.intervals import hours_for
from kws.evaluate.report.model import OperatingPoint, Report
from kws.evaluate.report.page.charts import accepts_in_words, misses_in_words, name_of, side, unsupported

_DOUBT = ' <span class="doubt" title="more than these hours can show">*</span>'


def text(value: object) -> str:
    """A value as HTML text or attribute. Characters that no page can hold (halves of
    characters, controls) become visible ones.
    """
    whole = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    kept = (c if c >= " " and not "\x7f" <= c <= "\x9f" else "\N{REPLACEMENT CHARACTER}" for c in whole)
    return html.escape("".join(kept))


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself. heads, and rows of cells, are HTML; the first
    cell of a row is its head.
    """
    head = "".join(f'<th scope="col">{cell}</th>' if cell else "<td></td>" for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{caption}"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def each_point(report: Report, draw: Callable[[int, str], str]) -> str:
    """`draw(number, name)` of every operating point, one of which the page shows at a
    time.
    """
    return "".join(
        f'<div class="at-point" data-point="{number}">{draw(number, text(name_of(point.target)))}</div>'
        for number, point in enumerate(report.all.points)
    )


def choices(report: Report) -> str:
    """The switch between the operating points; rates that the hours cannot show are
    marked.
    """
    found = []
    for number, point in enumerate(report.all.points):
        target = point.target
        doubt = target is not None and not any(k.points[number].supported for k in report.keywords.values())
        mark = _DOUBT if doubt else ""
        checked = " checked" if number == 0 else ""
        label = "the model’s own" if target is None else f"≤ {figure(target)}/h"
        found.append(
            f'<label><input type="radio" name="point" value="{number}"{checked}><span>{label}{mark}</span></label>'
        )
    return "".join(found)


def headline(report: Report) -> str:
    """The sentence at the top, and the same numbers large, for every operating
    point.
    """
    return each_point(report, lambda number, name: _tiles(report, report.all.points[number], number))


def _tiles(report: Report, point: OperatingPoint, number: int) -> str:
    names = list(report.keywords)
    words = f"“{text(names[0])}”" if len(names) == 1 else "wake words"
    frr = point.frr
    tiles = [
        ("miss", "Missed", percent(frr[0]) if frr else "unknown", _range(point)),
        ("accept", "False accepts", _rate(point), _rates(point)),
    ]
    latency = report.all.latency_ms
    if latency:
        median, p95 = latency.median / 1000, latency.p95 / 1000
        heard = f"median of {latency.n}{', own thresholds' * (number > 0)}; 95 % by {figure(abs(p95))} s {side(p95)} it"
        tiles.append(("", f"Heard {side(median)} the word’s end", f"{figure(abs(median))} s", heard))
    data = report.data
    skipped = f", {len(data.skipped)} skipped" if data.skipped else ""
    tiles.append(("", "Audio", f"{figure(data.hours)} h", f"{data.recordings:,} recordings{skipped}"))
    drawn = "".join(
        f'<div class="tile {kind}"><dt>{head}</dt><dd><b>{big}</b><span>{small}</span></dd></div>'.replace(
            " %", "&nbsp;%"
        )
        for kind, head, big, small in tiles
    )
    return f'<p class="lead">{_sentence(point, words)}</p><dl class="tiles">{drawn}</dl>'


def _range(point: OperatingPoint) -> str:
    if point.frr is None:
        return "never said"
    low, high = (percent(part, "") for part in point.frr[1:])
    return f"{point.misses} of {point.positives}; 95 %: {low} to {high} %"


def _rates(point: OperatingPoint) -> str:
    if point.fa_per_hour is None or not point.false_accepts:
        return accepts_in_words(point)
    low, high = (figure(part) for part in point.fa_per_hour[1:])
    return f"{point.false_accepts} in {figure(point.hours)} h; 95 %: {low} to {high}/h"


def _rate(point: OperatingPoint) -> str:
    if point.fa_per_hour is None:
        return "unknown"
    if not point.false_accepts and point.upper95 is not None:
        return f"&lt; {figure(point.upper95)}/h"
    return f"{figure(point.fa_per_hour.value)}/h"


def _sentence(point: OperatingPoint, words: str) -> str:
    missed, accepts = point.misses, point.false_accepts
    said = f"Missed <b>{missed} of {point.positives}</b> {words}"
    if point.fa_per_hour is None:
        return f"{said}; no other audio was played, so false accepts are unknown."
    times = f"woke falsely <b>{'once' if accepts == 1 else f'{accepts} times'}</b>"
    woke = f"{times if accepts else '<b>never</b> woke falsely'} in <b>{figure(point.hours)} hours</b>."
    return f"{said} and {woke}" if point.positives else f"It {woke} Nobody said {words}, so misses are unknown."


def support(report: Report) -> str:
    """The rates that the hours can show at all, in a sentence."""
    hours = max((keyword.hours for keyword in report.keywords.values()), default=0.0)
    if not hours:
        return "<p>Without other audio nothing is known of false accepts: give some with <code>--negatives</code>.</p>"
    lowest = unsupported(hours)
    short = [rate for rate in report.rates if rate < lowest]
    claim = f"{figure(hours)} h without any false accept would show at most {figure(lowest)}/h at 95 %."
    if not short:
        return f"<p>{claim}</p>"
    wanted = ", ".join(f"{figure(rate)}/h takes {figure(hours_for(rate))} h" for rate in short)
    return f'<p><span class="doubt">*</span> {claim} Lower rates need more audio: {wanted}, even with none.</p>'


def keywords(report: Report) -> str:
    """Counts of each keyword and of all, for every operating point."""
    return each_point(report, lambda number, name: _keywords(report, number, name))


def _keywords(report: Report, number: int, name: str) -> str:
    rows = [(text(word), keyword.points[number]) for word, keyword in report.keywords.items()]
    if len(rows) > 1:
        rows.append(("<i>all</i>", report.all.points[number]))
    frr = max((point.frr[2] for _, point in rows if point.frr), default=1.0)
    fa = max((point.fa_per_hour[2] for _, point in rows if point.fa_per_hour), default=1.0)
    cells = [
        (
            word,
            "–" if point.threshold is None else _label("threshold") + f"{point.threshold:.3f}",
            bar(point.frr, frr, "miss"),
            _label("missed") + misses_in_words(point),
            bar(point.fa_per_hour, fa, "accept"),
            _label("false accepts") + accepts_in_words(point) + _doubt(point),
        )
        for word, point in rows
    ]
    heads = ("keyword", "threshold", "", "missed, share (95 %)", "", "false accepts, rate (95 %)")
    return table(f"Each keyword: {name}", heads, cells)


def _label(what: str) -> str:
    """The name of a number, for tables that are too narrow for their heads."""
    return f'<span class="label">{what} </span>'


def _doubt(point: OperatingPoint) -> str:
    return "" if point.target is None or point.supported or point.threshold is None else _DOUBT


def bar(interval: Sequence[float] | None, largest: float, kind: str, least: float = 0.0) -> str:
    """An interval on a scale from `least` to `largest`, as a small picture; with a line
    at 0 where that is inside.
    """
    if interval is None:
        return ""
    value, low, high, zero = (
        100 * max(0.0, min(1.0, (part - least) / max(largest - least, 1e-9))) for part in (*interval, 0.0)
    )
    line = f'<rect class="zero" x="{min(99.0, zero):.2f}" y="0" width="1" height="10"/>' if least < 0 else ""
    return (
        f'<svg class="bar {kind}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" y="4.5" width="100" height="1"/>{line}'
        f'<rect class="spread" x="{low:.2f}" y="2" width="{max(0.8, high - low):.2f}" height="6"/>'
        f'<rect class="value" x="{max(0.0, value - 0.8):.2f}" y="0" width="1.6" height="10"/></svg>'
    )
