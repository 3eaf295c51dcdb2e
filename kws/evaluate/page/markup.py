"""A report's tables and sentences as HTML: what the page says without a script."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kws.evaluate.intervals import hours_for
from kws.evaluate.page.charts import accepts_in_words, figure, misses_in_words, name_of, percent, unsupported

Json = Mapping[str, Any]

_SPEAKERS = 30  # in the table; more are one line
_PHRASES = 60
_DOUBT = ' <span class="doubt" title="more than these hours can show">*</span>'


def text(value: object) -> str:
    """Anything as HTML text or attribute; what no page can hold (halves of characters, controls) is made visible."""
    whole = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    kept = (c if c >= " " and not "\x7f" <= c <= "\x9f" else "\N{REPLACEMENT CHARACTER}" for c in whole)
    return html.escape("".join(kept))


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself. heads, and rows of cells, are HTML; the first cell of a row is its head."""
    head = "".join(f'<th scope="col">{cell}</th>' if cell else "<td></td>" for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def each_point(report: Json, draw: Callable[[int, str], str]) -> str:
    """`draw(number, name)` of every operating point, one of which the page shows at a time."""
    return "".join(
        f'<div class="at-point" data-point="{number}">{draw(number, text(name_of(point["target"])))}</div>'
        for number, point in enumerate(report["all"]["points"])
    )


def choices(report: Json) -> str:
    """The switch between the operating points; rates that the hours cannot show are marked."""
    found = []
    for number, point in enumerate(report["all"]["points"]):
        target = point["target"]
        doubt = target is not None and not any(k["points"][number]["supported"] for k in report["keywords"].values())
        mark = _DOUBT if doubt else ""
        checked = " checked" if number == 0 else ""
        label = "the model’s own" if target is None else f"≤ {figure(target)}/h"
        found.append(
            f'<label><input type="radio" name="point" value="{number}"{checked}><span>{label}{mark}</span></label>'
        )
    return "".join(found)


def headline(report: Json) -> str:
    """The sentence at the top, and the same numbers large, for every operating point."""
    return each_point(report, lambda number, name: _tiles(report, report["all"]["points"][number], number))


def _tiles(report: Json, point: Json, number: int) -> str:
    names = list(report["keywords"])
    words = f"“{text(names[0])}”" if len(names) == 1 else "wake words"
    frr = point["frr"]
    tiles = [
        ("miss", "Missed", percent(frr[0]) if frr else "unknown", _range(point)),
        ("accept", "False accepts", _rate(point), _rates(point)),
    ]
    latency = report["all"]["latency_ms"]
    if latency and number == 0:
        heard = f"median of {latency['n']} words; 95 % of them within {figure(latency['p95'] / 1000)} s"
        tiles.append(("", "Heard after the word’s end", f"{figure(latency['median'] / 1000)} s", heard))
    data = report["data"]
    skipped = f", {len(data['skipped'])} skipped" if data["skipped"] else ""
    tiles.append(("", "Audio", f"{figure(data['hours'])} h", f"{data['recordings']:,} recordings{skipped}"))
    drawn = "".join(
        f'<div class="tile {kind}"><dt>{head}</dt><dd><b>{big}</b><span>{small}</span></dd></div>'
        for kind, head, big, small in tiles
    )
    return f'<p class="lead">{_sentence(point, words)}</p><dl class="tiles">{drawn}</dl>'


def _range(point: Json) -> str:
    if point["frr"] is None:
        return "never said"
    low, high = (percent(part, "") for part in point["frr"][1:])
    return f"{point['misses']} of {point['positives']}; 95 %: {low} to {high} %"


def _rates(point: Json) -> str:
    if not point["fa_per_hour"] or not point["false_accepts"]:
        return accepts_in_words(point)
    low, high = (figure(part) for part in point["fa_per_hour"][1:])
    return f"{point['false_accepts']} in {figure(point['hours'])} h; 95 %: {low} to {high}/h"


def _rate(point: Json) -> str:
    if point["fa_per_hour"] is None:
        return "unknown"
    if not point["false_accepts"]:
        return f"&lt; {figure(point['upper95'])}/h"
    return f"{figure(point['fa_per_hour'][0])}/h"


def _sentence(point: Json, words: str) -> str:
    missed, accepts = point["misses"], point["false_accepts"]
    said = f"Missed <b>{missed} of {point['positives']}</b> {words}"
    if point["fa_per_hour"] is None:
        return f"{said}; no other audio was played, so false accepts are unknown."
    times = {0: "never", 1: "once"}.get(accepts, f"{accepts} times")
    woke = f"woke falsely <b>{times}</b> in <b>{figure(point['hours'])} hours</b>."
    return f"{said} and {woke}" if point["positives"] else f"It {woke} Nobody said {words}, so misses are unknown."


def support(report: Json) -> str:
    """What rates the hours can show at all."""
    hours = max((keyword["hours"] for keyword in report["keywords"].values()), default=0.0)
    if not hours:
        return "<p>Without other audio nothing is known of false accepts: give some with <code>--negatives</code>.</p>"
    lowest = unsupported(hours)
    short = [rate for rate in report["rates"] if rate < lowest]
    claim = f"{figure(hours)} h without any false accept would show at most {figure(lowest)}/h at 95 %."
    if not short:
        return f"<p>{claim}</p>"
    wanted = ", ".join(f"{figure(rate)}/h takes {figure(hours_for(rate))} h" for rate in short)
    return f'<p><span class="doubt">*</span> {claim} Lower rates need more audio: {wanted}, even with none.</p>'


def keywords(report: Json) -> str:
    """Counts of each keyword and of all, for every operating point."""
    return each_point(report, lambda number, name: _keywords(report, number, name))


def _keywords(report: Json, number: int, name: str) -> str:
    rows = [(text(word), keyword["points"][number]) for word, keyword in report["keywords"].items()]
    if len(rows) > 1:
        rows.append(("<i>all</i>", report["all"]["points"][number]))
    frr = max((point["frr"][2] for _, point in rows if point["frr"]), default=1.0)
    fa = max((point["fa_per_hour"][2] for _, point in rows if point["fa_per_hour"]), default=1.0)
    cells = [
        (
            word,
            "–" if point["threshold"] is None else f"{point['threshold']:.3f}",
            bar(point["frr"], frr, "miss"),
            misses_in_words(point),
            bar(point["fa_per_hour"], fa, "accept"),
            accepts_in_words(point) + _doubt(point),
        )
        for word, point in rows
    ]
    heads = ("keyword", "threshold", "", "missed, share (95 %)", "", "false accepts, rate (95 %)")
    return table(f"Each keyword: {name}", heads, cells)


def _doubt(point: Json) -> str:
    return "" if point["target"] is None or point["supported"] or point["threshold"] is None else _DOUBT


def bar(interval: Sequence[float] | None, largest: float, kind: str) -> str:
    """An interval on a scale from 0 to `largest`, as a small picture."""
    if interval is None:
        return ""
    value, low, high = (100 * max(0.0, min(1.0, part / max(largest, 1e-9))) for part in interval)
    return (
        f'<svg class="bar {kind}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" y="4.5" width="100" height="1"/>'
        f'<rect class="spread" x="{low:.2f}" y="2" width="{max(0.8, high - low):.2f}" height="6"/>'
        f'<rect class="value" x="{max(0.0, value - 0.8):.2f}" y="0" width="1.6" height="10"/></svg>'
    )


def conditions(report: Json) -> str:
    """Misses of each keyword under each condition, for every operating point; nothing of one condition alone."""
    if len(report["conditions"]) < 2:
        return ""
    together = "all keywords together, and the one chosen above" if len(report["keywords"]) > 1 else "dots and bars"
    chart = (
        '<figure class="scripted" hidden><figcaption>Share missed under each condition, with its 95 % interval: '
        f'{together}.</figcaption><div class="chart" id="condition-chart"></div></figure>'
    )
    return chart + each_point(report, lambda number, name: _conditions(report, number, name))


def _conditions(report: Json, number: int, name: str) -> str:
    rows = [(text(word), keyword["conditions"]) for word, keyword in report["keywords"].items()]
    if len(rows) > 1:
        rows.append(("<i>all</i>", report["all"]["conditions"]))
    cells = [(word, *(_share(found, condition, number) for condition in report["conditions"])) for word, found in rows]
    return table(f"Missed under each condition: {name}", ("keyword", *map(text, report["conditions"])), cells)


def _share(found: Json, condition: str, number: int) -> str:
    counts = found.get(condition)
    if not counts or counts[number]["frr"] is None:
        return "–"
    count = counts[number]
    value, low, high = count["frr"]
    return (
        f"<b>{percent(value)}</b> <small>{count['misses']}/{count['positives']}<br>"
        f"{percent(low, '')} to {percent(high, '')}</small>"
    )


def speakers(report: Json) -> str:
    """Misses of each speaker, those with the most first, for every operating point."""
    if not report["all"]["speakers"]:
        return ""
    return each_point(report, lambda number, name: _speakers(report, number, name))


def _speakers(report: Json, number: int, name: str) -> str:
    counts = {who: found[number] for who, found in report["all"]["speakers"].items()}
    worst = sorted(counts, key=lambda who: (-counts[who]["misses"], counts[who]["positives"], who))
    missed = [who for who in worst if counts[who]["misses"]]
    rows = [
        (
            text(who),
            bar(counts[who]["frr"], 1.0, "miss"),
            misses_in_words(counts[who]),
            _words_of(report, who, number),
        )
        for who in missed[:_SPEAKERS]
    ]
    note = f"<p>{len(counts) - len(missed)} of {len(counts)} speakers were heard every time."
    note += f" {len(missed) - len(rows)} more were not and are in report.json.</p>" if missed[len(rows) :] else "</p>"
    heads = ("speaker", "", "missed", "words")
    return (table(f"Speakers who were missed, clean: {name}", heads, rows) if rows else "") + note


def _words_of(report: Json, who: str, number: int) -> str:
    counts = {word: keyword["speakers"].get(who) for word, keyword in report["keywords"].items()}
    missed = {word: found[number] for word, found in counts.items() if found and found[number]["misses"]}
    return ", ".join(f"{text(word)} {count['misses']}/{count['positives']}" for word, count in missed.items())


def confusables(report: Json) -> str:
    """Confusable phrases that woke a keyword at some operating point: events in clips."""
    found = [
        (name, phrase, counts)
        for name, keyword in report["keywords"].items()
        for phrase, counts in keyword["confusables"].items()
    ]
    if not found:
        return ""
    loud = [row for row in found if any(count["fires"] for count in row[2])]
    loud.sort(key=lambda row: [-count["fires"] for count in row[2]])
    heads = ["phrase", "wakes", *(text(name_of(point["target"])) for point in report["all"]["points"])]
    rows = [
        (text(phrase), text(name), *(f"{count['fires']} in {count['clips']} clips" for count in counts))
        for name, phrase, counts in loud[:_PHRASES]
    ]
    quiet = len({phrase for _, phrase, _ in found} - {phrase for _, phrase, _ in loud})
    note = f"{quiet} {'other ' * bool(rows)}phrases woke nothing." if quiet else ""
    note += f" {len(loud) - _PHRASES} more rows are in report.json." if len(loud) > _PHRASES else ""
    shown = table("Confusable phrases: how often each fires; they are not in the hours above", heads, rows)
    return (shown if rows else "") + (f"<p>{note}</p>" if note else "")


def latency(report: Json) -> str:
    """How long after the end of the word each keyword fires."""
    found = [(text(name), keyword["latency_ms"]) for name, keyword in report["keywords"].items()]
    if len(found) > 1:
        found.append(("<i>all</i>", report["all"]["latency_ms"]))
    known = [(name, value) for name, value in found if value]
    if not known:
        return ""
    largest = max(1.0, *(value["p95"] for _, value in known))
    rows = [
        (
            name,
            bar((value["median"], 0.0, value["p95"]), largest, ""),
            f"{value['median']:.0f} ms",
            f"{value['p95']:.0f} ms",
            str(value["n"]),
        )
        for name, value in known
    ]
    return table("From the end of the word to the event", ("keyword", "", "median", "95 % within", "words"), rows)


def comparison(report: Json) -> str:
    """This model beside another one on the same recordings."""
    other = report["comparison"]
    if not other or not other["rows"]:
        return ""
    return each_point(report, lambda number, name: _comparison(other, report["all"]["points"][number], name))


def _comparison(other: Json, point: Json, name: str) -> str:
    rows = [
        (
            text(row["keyword"]),
            text(row["condition"]),
            misses_in_words(row["ours"]),
            misses_in_words(row["theirs"]),
            _difference(row["difference"]),
            f"{row['only_ours_missed']} / {row['only_theirs_missed']}",
            f"{row['mcnemar_p']:.3f}" if row["mcnemar_p"] >= 0.001 else "&lt; 0.001",
        )
        for row in other["rows"]
        if row["target"] == point["target"]
    ]
    against = text(other["against"])
    if not rows:
        return f"<p>Compared with {against} at equal rates of false accepts: choose one of them at the top.</p>"
    heads = ("keyword", "condition", "missed here", f"missed by {against}", "difference, points (95 %)")
    caption = f"The same recordings heard by {against}, each model with its own thresholds: {name}"
    return table(caption, (*heads, "missed by this / that alone", "McNemar p"), rows)


def _difference(interval: Sequence[float] | None) -> str:
    if not interval:
        return "–"
    value, low, high = (f"{100 * part:+.1f}" for part in interval)
    return f"{value} ({low} to {high})"
