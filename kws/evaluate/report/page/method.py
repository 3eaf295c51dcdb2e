"""What a report rests on, in words: the system, the data and the rules of counting, as HTML."""

from collections.abc import Mapping
from typing import Any

from kws.evaluate.report.page.charts import figure
from kws.evaluate.report.page.markup import text

Json = Mapping[str, Any]

_CHOSEN = (
    "are the lowest with at most that many false accepts per hour of each keyword, and up to 0.02 above the first "
    "score that is too many, because other frame borders move scores. They are chosen on the very audio that is "
    "counted here: expect a little more elsewhere."
)
_INTERVALS = (
    "at 95 %: Wilson (1927) of shares missed, exact Poisson (Garwood 1936) of rates per hour; “at most” is the "
    "one-sided bound."
)


def facts(report: Json) -> str:
    """The line under the title: what was scored."""
    system = report["system"]
    size = system.get("bytes")
    parameters = system.get("parameters")
    known = [
        f"{text(system['engine'])} {text(system.get('version') or '')}".strip(),
        f"{parameters:,} parameters" if parameters else "",
        f"{figure(size / 1e6)} MB" if size else "",
        f"commit <code>{text(system['commit'])}</code>" if system.get("commit") else "",
        f"{len(report['keywords'])} keyword{'s' * (len(report['keywords']) != 1)}",
    ]
    return "".join(f"<li>{fact}</li>" for fact in known if fact)


def method(report: Json) -> str:
    """How it was measured: command, data, rules, and what could not be read."""
    items = "".join(f"<dt>{head}</dt><dd>{body}</dd>" for head, body in [*_data(report), *_rules(report)] if body)
    return f"<pre><code>{text(report['command'])}</code></pre><dl class='method'>{items}</dl>{_skipped(report)}"


def _data(report: Json) -> list[tuple[str, str]]:
    data = report["data"]
    roles = [("Wake words", "positives"), ("Other audio", "negatives"), ("Confusable phrases", "confusables")]
    mixed = [name for name in (data.get("noise"), data.get("rooms")) if name]
    return [
        *((head, ", ".join(map(text, data.get(key) or []))) for head, key in roles),
        ("Noise, rooms", ", ".join(map(text, mixed))),
    ]


def _rules(report: Json) -> list[tuple[str, str]]:
    rules = report["rules"]

    def seconds(key: str, sentence: str) -> str:
        return sentence.format(figure(rules[key])) if key in rules else ""

    return [
        ("A hit", seconds("late_s", "is the first event from the word to {} s after its end; one word, one hit.")),
        ("A false accept", "is an event where the keyword is not said. Events are counted, not clips."),
        ("Refractory", seconds("refractory_s", "No keyword fires twice within {} s, whatever the system.")),
        ("Silence", seconds("silence_s", "{} s is played before and after each recording.")),
        ("Thresholds at a rate", _CHOSEN),
        ("Intervals", _INTERVALS),
        ("Noise", seconds("seed", "is the same in every run (seed {}).") if report["data"].get("noise") else ""),
        ("Time", seconds("frame_s", "Scores come every {} s") + seconds("chunk_s", ", known every {} s.")),
    ]


def _skipped(report: Json) -> str:
    skipped = report["data"]["skipped"]
    if not skipped:
        return ""
    lines = "".join(f"<li>{text(line)}</li>" for line in skipped[:200])
    more = f"<li>and {len(skipped) - 200} more</li>" if len(skipped) > 200 else ""
    return (
        f"<details><summary>Recordings that could not be used: {len(skipped)}</summary><ul>{lines}{more}</ul></details>"
    )
