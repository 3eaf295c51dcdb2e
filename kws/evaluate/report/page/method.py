"""The basis of a report in words: the system, the data and the rules of counting, as
HTML.
"""

from kws.audio.pickup import Pickup
from kws.digits import figure
from kws.evaluate.report.model import Report
from kws.evaluate.report.page.markup import text

_CHOSEN = (
    "are the lowest with at most that many false accepts per hour of each keyword, and up to 0.02 above the first "
    "score that is too many, because other frame borders move scores. They are chosen on the very audio that is "
    "counted here: expect a little more elsewhere."
)
_INTERVALS = (
    "at 95 %: Wilson (1927) of shares missed, exact Poisson (Garwood 1936) of rates per hour; “at most” is the "
    "one-sided bound."
)


def facts(report: Report) -> str:
    """The line under the title: the system and the data that were scored."""
    system = report.system
    size = system.bytes
    parameters = system.parameters
    known = [
        f"{text(system.engine)} {text(system.version)}".strip(),
        f"{parameters:,} parameters" if parameters else "",
        f"{figure(size / 1e6)} MB" if size else "",
        f"commit <code>{text(system.commit)}</code>" if system.commit else "",
        f"{len(report.keywords)} keyword{'s' * (len(report.keywords) != 1)}",
    ]
    return "".join(f"<li>{fact}</li>" for fact in known if fact)


def method(report: Report) -> str:
    """How the report was measured: command, data, rules, and the files that could not
    be read.
    """
    items = "".join(f"<dt>{head}</dt><dd>{body}</dd>" for head, body in [*_data(report), *_rules(report)] if body)
    return f"<pre><code>{text(report.command)}</code></pre><dl class='method'>{items}</dl>{_skipped(report)}"


def _data(report: Report) -> list[tuple[str, str]]:
    data = report.data
    roles = [
        ("Wake words", data.positives),
        ("Other audio", data.negatives),
        ("Confusable phrases", data.confusables),
    ]
    mixed = [name for name in (data.noise, data.rooms) if name]
    return [
        *((head, ", ".join(map(text, sources))) for head, sources in roles),
        ("Noise, rooms", ", ".join(map(text, mixed))),
    ]


def _rules(report: Report) -> list[tuple[str, str]]:
    rules = report.rules
    options = str(Pickup(rules.channel, rules.gain_db))
    late, refractory, silence = figure(rules.late_s), figure(rules.refractory_s), figure(rules.silence_s)
    return [
        ("A hit", f"is the first event from the word to {late} s after its end; one word, one hit."),
        ("A false accept", "is an event where the keyword is not said. Events are counted, not clips."),
        ("Refractory", f"No keyword fires twice within {refractory} s, whatever the system."),
        ("Silence", f"{silence} s is played before and after each recording."),
        ("Sound", f"Everything is heard with <code>{options}</code>." if options else ""),
        ("Thresholds at a rate", _CHOSEN),
        ("Intervals", _INTERVALS),
        ("Noise", f"is the same in every run (seed {rules.seed})." if report.data.noise else ""),
        ("Time", f"Scores come every {figure(rules.frame_s)} s, known every {figure(rules.chunk_s)} s."),
    ]


def _skipped(report: Report) -> str:
    skipped = report.data.skipped
    if not skipped:
        return ""
    lines = "".join(f"<li>{text(line)}</li>" for line in skipped[:200])
    more = f"<li>and {len(skipped) - 200} more</li>" if len(skipped) > 200 else ""
    return (
        f"<details><summary>Recordings that could not be used: {len(skipped)}</summary><ul>{lines}{more}</ul></details>"
    )
