"""A report as one HTML page that needs nothing else: no network, no files beside it."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from kws.evaluate.report.model import MissCount, Report
from kws.evaluate.report.page import charts, markup, sections
from kws.evaluate.report.page.clips import Clip, Event, NoClip, Sound, cut, events
from kws.evaluate.report.page.method import facts, method

_CLIPS = 200  # in the page; a report of 8 MB still opens at once and goes through a mail
_EVENTS = 2000
_SCRIPTS = ("common.js", "charts.js", "events.js", "page.js")


def write_page(report: Report, sound: Sound, path: Path) -> None:
    """Writes the page of a report to `path`.

    sound(audio, condition, start_s, end_s) gives what the system heard there, float32
    (S,) at 16 kHz, maybe less than was asked for; where it raises KwsError, the page
    has a note in place of a player. The page's own script and styles are the only ones
    that it allows.
    """
    found = events(report)
    clips = [cut(event, sound) for event in found[:_CLIPS]]
    script = "(() => {\n" + "\n".join(map(_file, _SCRIPTS)) + "})();"
    style = _file("page.css")
    parts = {
        "title": markup.text(report.system.name),
        "facts": facts(report),
        "choices": markup.choices(report),
        "headline": markup.headline(report),
        "support": markup.support(report),
        "keywords": markup.keywords(report),
        "conditions": _section("conditions", "Noise and rooms", sections.conditions(report)),
        "speakers": _section("speakers", "By speaker", sections.speakers(report)),
        "confusables": _section("confusables", "Phrases that sound alike", sections.confusables(report)),
        "latency": _section("latency", "How soon", sections.latency(report)),
        "comparison": _section("comparison", "Beside another model", sections.comparison(report)),
        "method": method(report),
        "dashed": sections.dashed(report),
        "left_out": _left_out(report, found, len(clips)),
        "data": script_json(page_data(report, found[:_EVENTS], clips)),
        "script": script,
        "style": style,
        "policy": f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; "
        "form-action 'none'; img-src data:",
    }
    path.write_text(Template(_file("page.html")).substitute(parts), encoding="utf-8", errors="backslashreplace")


def page_data(report: Report, found: Sequence[Event], clips: Sequence[Clip | NoClip]) -> dict[str, Any]:
    """The numbers that the page's script draws; all of them are computed here."""
    hours = max((keyword.hours for keyword in report.keywords.values()), default=0.0)
    other = charts.earlier(report)
    return {
        "points": [charts.name_of(point.target) for point in report.all.points],
        "conditions": report.conditions,
        "axes": charts.axes(report)._asdict(),
        "hours": hours,
        "audio_s": report.data.hours * 3600,
        "unsupported": charts.unsupported(hours) if hours else None,
        "keywords": [
            {
                "name": name,
                "positives": keyword.positives,
                "hours": keyword.hours,
                "at_most": charts.unsupported(keyword.hours) if keyword.hours else None,
                "points": [asdict(point) for point in keyword.points],
                "conditions": _counts(keyword.conditions),
                "curve": charts.curve(keyword)._asdict(),
                "earlier": charts.curve(other[name])._asdict() if name in other else None,
                "histogram": charts.histogram(report, name)._asdict(),
            }
            for name, keyword in report.keywords.items()
        ],
        "all": {"conditions": _counts(report.all.conditions)},
        "events": [{k: v for k, v in asdict(event).items() if k != "audio"} for event in found],
        "clips": [asdict(clip) for clip in clips],
    }


def _counts(conditions: Mapping[str, Sequence[MissCount]]) -> dict[str, list[dict[str, Any]]]:
    return {name: [asdict(count) for count in counts] for name, counts in conditions.items()}


def script_json(value: object) -> str:
    """JSON that can stand in a <script>: it parses to the same value, and nothing in it
    ends the script.
    """
    escapes = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).translate(escapes)


def _left_out(report: Report, found: Sequence[Event], clips: int) -> str:
    return markup.each_point(report, lambda number, name: _sounds(found, clips, number))


def _sounds(found: Sequence[Event], clips: int, number: int) -> str:
    """The events at point `number` that are not in the page, or have no sound there."""
    here = [place for place, event in enumerate(found) if event.scores[number] is not None]
    if not here:
        return "<p>Nothing was missed, and nothing woke it falsely.</p>"
    loud, unlisted = sum(place < clips for place in here), sum(place >= _EVENTS for place in here)
    if loud == len(here):
        return ""
    hidden = f", and {unlisted} are not listed" if unlisted else ""
    return f"<p>{loud} of {len(here)} events have their sound here, the worst of each keyword{hidden}.</p>"


def _section(name: str, head: str, content: str) -> str:
    """A section of the page, or nothing where there is nothing to say."""
    if not content:
        return ""
    return f'<section id="{name}" aria-labelledby="{name}-head"><h2 id="{name}-head">{head}</h2>{content}</section>'


def _file(name: str) -> str:
    return (resources.files("kws.evaluate.report.page") / "web" / name).read_text("utf-8")


def _hash(content: str) -> str:
    """The hash by which a content security policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
