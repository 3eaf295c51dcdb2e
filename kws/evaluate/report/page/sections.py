"""The page's further sections as HTML: conditions, speakers, confusable phrases,
latency, another model.
"""

from collections.abc import Mapping, Sequence

from kws.digits import percent
from kws.evaluate.report.model import Comparison, Interval, MissCount, OperatingPoint, Report
from kws.evaluate.report.page.charts import earlier, misses_in_words, name_of, side
from kws.evaluate.report.page.markup import bar, each_point, table, text

_SPEAKERS = 30  # in the table; more are one line
_PHRASES = 60
_AS_IT_IS = (
    "Only the words are heard in noise and in rooms. False accepts, and so the thresholds for a rate of them, are "
    "counted on the recordings as they are, without noise."
)
_NO_WORD_ENDS = (
    "Not known: the manifest does not say when in each clip the word ends. "
    "<code>kws data align P.csv -o ALIGNED.csv</code> finds that out; score with <code>--positives ALIGNED.csv</code>."
)


def conditions(report: Report) -> str:
    """Misses of each keyword under each condition, for every operating point; empty for
    one condition alone.
    """
    if len(report.conditions) < 2:
        return ""
    together = "all keywords together, and the one chosen above" if len(report.keywords) > 1 else "dots and bars"
    chart = (
        '<figure class="scripted" hidden><figcaption>Share missed under each condition, with its 95 % interval: '
        f'{together}.</figcaption><div class="chart" id="condition-chart"></div></figure>'
    )
    tables = each_point(report, lambda number, name: _conditions(report, number, name))
    return f"<p>{_AS_IT_IS}</p>{chart}{tables}"


def _conditions(report: Report, number: int, name: str) -> str:
    rows = [(text(word), keyword.conditions) for word, keyword in report.keywords.items()]
    if len(rows) > 1:
        rows.append(("<i>all</i>", report.all.conditions))
    cells = [(word, *(_share(found, condition, number) for condition in report.conditions)) for word, found in rows]
    return table(f"Missed under each condition: {name}", ("keyword", *map(text, report.conditions)), cells)


def _share(found: Mapping[str, Sequence[MissCount]], condition: str, number: int) -> str:
    counts = found.get(condition)
    count = counts[number] if counts else None
    if count is None or count.frr is None:
        return "–"
    value, low, high = count.frr
    return (
        f"<b>{percent(value)}</b> <small>{count.misses}/{count.positives}</small>"
        f"<br><small>{percent(low, '')} to {percent(high, '')}</small>"
    )


def speakers(report: Report) -> str:
    """Misses of each speaker, those with the most first, for every operating point."""
    if not report.all.speakers:
        return ""
    return each_point(report, lambda number, name: _speakers(report, number, name))


def _speakers(report: Report, number: int, name: str) -> str:
    counts = {who: found[number] for who, found in report.all.speakers.items()}
    worst = sorted(counts, key=lambda who: (-counts[who].misses, counts[who].positives, who))
    missed = [who for who in worst if counts[who].misses]
    rows = [
        (
            text(who),
            bar(counts[who].frr, 1.0, "miss"),
            misses_in_words(counts[who]),
            _words_of(report, who, number),
        )
        for who in missed[:_SPEAKERS]
    ]
    note = f"<p>{len(counts) - len(missed)} of {len(counts)} speakers were heard every time."
    note += f" {len(missed) - len(rows)} more were not and are in report.json.</p>" if missed[len(rows) :] else "</p>"
    heads = ("speaker", "", "missed", "words")
    return (table(f"Speakers who were missed, clean: {name}", heads, rows) if rows else "") + note


def _words_of(report: Report, who: str, number: int) -> str:
    counts = {word: keyword.speakers.get(who) for word, keyword in report.keywords.items()}
    missed = {word: found[number] for word, found in counts.items() if found and found[number].misses}
    return ", ".join(f"{text(word)} {count.misses}/{count.positives}" for word, count in missed.items())


def confusables(report: Report) -> str:
    """Confusable phrases that woke a keyword at some operating point: events in
    clips.
    """
    found = [
        (name, phrase, counts)
        for name, keyword in report.keywords.items()
        for phrase, counts in keyword.confusables.items()
    ]
    if not found:
        return ""
    loud = [row for row in found if any(count.fires for count in row[2])]
    loud.sort(key=lambda row: [-count.fires for count in row[2]])
    heads = ["phrase", "wakes", *(text(name_of(point.target)) for point in report.all.points)]
    rows = [
        (text(phrase), text(name), *(f"{count.fires} in {count.clips} clips" for count in counts))
        for name, phrase, counts in loud[:_PHRASES]
    ]
    quiet = len({phrase for _, phrase, _ in found} - {phrase for _, phrase, _ in loud})
    note = f"{quiet} {'other ' * bool(rows)}phrases woke nothing." if quiet else ""
    note += f" {len(loud) - _PHRASES} more rows are in report.json." if len(loud) > _PHRASES else ""
    shown = table("Confusable phrases: how often each fires; they are not in the hours above", heads, rows)
    return (shown if rows else "") + (f"<p>{note}</p>" if note else "")


def latency(report: Report) -> str:
    """How long after the end of the word, or before it, each keyword fires. Where word
    ends are not known, it says how to find them.
    """
    found = [(text(name), keyword.latency_ms) for name, keyword in report.keywords.items()]
    if len(found) > 1:
        found.append(("<i>all</i>", report.all.latency_ms))
    known = [(name, value) for name, value in found if value]
    if not known:
        unknown = report.trials and all(trial.end_s is None for trial in report.trials)
        return f"<p>{_NO_WORD_ENDS}</p>" if unknown else ""
    least = min(0.0, *(value.median for _, value in known))
    largest = max(1.0, *(value.p95 for _, value in known))
    rows = [
        (
            name,
            bar((value.median, value.median, value.p95), largest, "", least),
            f"{abs(value.median):.0f} ms {side(value.median)}",
            f"{abs(value.p95):.0f} ms {side(value.p95)}",
            str(value.n),
        )
        for name, value in known
    ]
    caption = "Events, from the end of the word. Tick: median; bar: from there to 95 %"
    if least < 0:
        caption += "; line: the end of the word"
    return table(caption, ("keyword", "", "median", "95 % by", "words"), rows)


def dashed(report: Report) -> str:
    """An explanation of the dashed curve, where another report's curve is drawn."""
    if report.comparison is None or not earlier(report):
        return ""
    line = '<svg viewBox="0 0 24 12" aria-hidden="true"><path class="earlier sink" d="M0 6h24"/></svg>'
    return f"<li>{line}the keyword by {text(report.comparison.against)}, on the audio of its report</li>"


def comparison(report: Report) -> str:
    """This model beside another one on the same recordings."""
    other = report.comparison
    if not other or not other.rows:
        return ""
    return each_point(report, lambda number, name: _comparison(other, report.all.points[number], name))


def _comparison(other: Comparison, point: OperatingPoint, name: str) -> str:
    rows = [
        (
            text(row.keyword),
            text(row.condition),
            misses_in_words(row.ours),
            misses_in_words(row.theirs),
            _difference(row.difference),
            f"{row.only_ours_missed} / {row.only_theirs_missed}",
            f"{row.mcnemar_p:.3f}" if row.mcnemar_p >= 0.001 else "&lt; 0.001",
        )
        for row in other.rows
        if row.target == point.target
    ]
    against = text(other.against)
    if not rows:
        return f"<p>Compared with {against} at equal rates of false accepts: choose one of them at the top.</p>"
    heads = ("keyword", "condition", "missed here", f"missed by {against}", "difference, points (95 %)")
    caption = f"The same recordings heard by {against}, each model with its own thresholds: {name}"
    return table(caption, (*heads, "missed by this / that alone", "McNemar p"), rows)


def _difference(interval: Interval) -> str:
    value, low, high = (f"{100 * part:+.1f}" for part in interval)
    return f"{value} ({low} to {high})"
