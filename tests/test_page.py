"""The report's page: one file that stands alone, says what the report says, and runs without a complaint."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import reports
import tones
from browser import CHROMIUM, Browser
from kws.errors import KwsError
from kws.evaluate.page import clips, markup
from kws.evaluate.page import document as page

VOID = {"meta", "link", "input", "br", "rect", "line", "path", "circle"}
NAMES = st.text(st.characters(), min_size=1, max_size=12)  # halves of surrogate pairs among them
NASTY = "</script><script>alert(1)</script><!-- \" ' & \u2028 \udcff \x00 $x ${y} ü 語 </title>"


def sound(audio: str, condition: str, start_s: float, end_s: float) -> np.ndarray:
    """A tune of 2.4 s, of which there is what was asked for."""
    whole = np.concatenate([tones.speak("ABC"), np.zeros(16_000, np.float32), tones.speak("FEDABC")])
    return whole[int(start_s * 16_000) : int(end_s * 16_000)] if end_s < 20 else whole


def page_of(report: dict[str, Any], folder: Path, voice: clips.Sound = sound) -> str:
    path = folder / "report.html"
    page.write_page(report, voice, path)
    return path.read_text(encoding="utf-8")


class Reader(HTMLParser):
    """Elements with their attributes; text of scripts and styles. Fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len(dict(attributes)) == len(attributes), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attributes)))
        if tag in self.raw:
            self.raw[tag].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert tag not in VOID and self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]][-1] += data
        else:
            self.text += data

    @property
    def ids(self) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get("id"))]

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.raw["script"][0])


CASES = {
    "six": lambda: reports.with_more(reports.make_report(positives=12, conditions=["clean", "5 dB"])),
    "one condition": lambda: reports.make_report(["alexa", "jarvis"], 12, conditions=["clean"]),
    "no other audio": reports.silent_report,
    "nobody spoke": lambda: reports.make_report(["computer", "jarvis"], 0, 5.0, ["clean"], 10.0),
    "35 words": lambda: reports.make_report([f"word {i}" for i in range(35)], 4, 2.0, ["clean", "0 dB"], 4.0),
    "many points": lambda: reports.make_report(["computer"], 300, 40.0, ["clean"], 40.0),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """A page of every kind of report."""
    written = {}
    for name, make in CASES.items():
        written[name] = tmp_path_factory.mktemp("pages") / "report.html"
        page.write_page(make(), sound if name == "six" else unreadable("a clip"), written[name])
    return written


@pytest.mark.parametrize("case", CASES)
def test_the_page_is_well_formed_and_every_reference_has_its_end(case, pages):
    reader = Reader(pages[case].read_text(encoding="utf-8"))
    assert len(reader.ids) == len(set(reader.ids))
    assert set(re.findall(r'\$\("([\w-]+)"\)', reader.raw["script"][1])) <= {*reader.ids, "condition-chart"}
    for tag, attributes in reader.elements:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in reader.ids
        if tag == "section":
            assert attributes.get("aria-label") or attributes.get("aria-labelledby")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("case", CASES)
def test_the_page_asks_nobody_for_anything(case, pages):
    text = pages[case].read_text(encoding="utf-8")
    reader = Reader(text)
    assert set(re.findall(r"\w+:/{2}[^\s\"'<]*", text)) <= {"http://www.w3.org/2000/svg"}  # the name of a language
    links = [a[key] for _, a in reader.elements for key in ("src", "href", "srcset", "action", "data") if key in a]
    assert links == ["data:,"]
    assert not re.search(r"url\(|@import", reader.raw["style"][0])
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|WebSocket|innerHTML|eval\(", reader.raw["script"][1])


def test_the_policy_allows_the_pages_own_script_and_styles_alone(pages):
    reader = Reader(pages["six"].read_text(encoding="utf-8"))
    policy = next(a["content"] for _, a in reader.elements if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for name, content in (("script-src", reader.raw["script"][1]), ("style-src", reader.raw["style"][0])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"
    assert rules["default-src"] == "'none'"


@settings(max_examples=50)
@given(st.recursive(st.none() | st.integers() | NAMES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_json_in_a_script_parses_back_to_the_same(value):
    text = page.script_json(value)
    assert json.loads(text) == value
    assert text.isascii() and not set("<>&") & set(text)


@given(NAMES)
def test_text_is_text(name):
    reader = Reader(f'<p title="{markup.text(name)}">{markup.text(name)}</p>')
    assert [tag for tag, _ in reader.elements] == ["p"] and reader.elements[0][1]["title"] == reader.text
    reader.text.encode("utf-8")
    if name.isprintable():
        assert reader.text == name


@settings(deadline=None, max_examples=8)
@given(NAMES.filter(lambda name: name != "other"))
def test_any_name_stays_a_name(tmp_path_factory, name):
    assert_stays_a_name(name, tmp_path_factory.mktemp("names"))


def test_a_nasty_name_stays_a_name(tmp_path):
    assert_stays_a_name(NASTY, tmp_path)


def assert_stays_a_name(name: str, folder: Path) -> None:
    """Whatever a keyword, a file, a speaker, a phrase, a condition and a note are called: no elements come of it."""
    kinds = []
    for called in (name, "plain"):
        report = reports.with_more(reports.make_report([called, "other"], 3, 2.0, ["clean", called], 3.0, seed=4))
        report["system"]["name"] = report["command"] = report["comparison"]["against"] = called
        report["data"]["skipped"] = report["data"]["positives"] = [called]
        report["keywords"][called]["confusables"] = {called: report["keywords"][called]["confusables"]["few glasses"]}
        for row in [*report["trials"], *report["accepts"]]:
            row["name"] = row["speaker"] = row["text"] = called
        reader = Reader(page_of(report, folder, unreadable(called)))
        kinds.append([tag for tag, _ in reader.elements])
        assert reader.data["keywords"][0]["name"] == called and reader.data["conditions"][1] == called
        assert {event["name"] for event in reader.data["events"]} <= {called}
    assert kinds[0] == kinds[1]


def unreadable(what: str) -> clips.Sound:
    def fails(*_: object) -> np.ndarray:
        raise KwsError(f"{what} does not exist")

    return fails


def test_a_clip_that_cannot_be_read_leaves_a_note(tmp_path):
    report = reports.make_report(["computer"], 30, conditions=["clean"])
    reader = Reader(page_of(report, tmp_path, unreadable("c.flac")))
    assert reader.data["events"]
    assert reader.data["clips"] == [{"note": "c.flac does not exist"}] * len(reader.data["events"])
    nothing = Reader(page_of(report, tmp_path, lambda *_: np.empty(0, np.float32)))
    assert all("no sound" in clip["note"] for clip in nothing.data["clips"])


def test_the_page_has_the_counts_of_the_report(pages):
    report = CASES["six"]()
    text = Reader(pages["six"].read_text(encoding="utf-8")).text
    for keyword in [*report["keywords"].values(), report["all"]]:
        for point in keyword["points"]:
            assert f"{point['misses']} of {point['positives']}: " in text
            assert f"{point['false_accepts']} in 2.45 h" in text
    assert "0 in 2.45 h: at most 1.22/h at 95 %" in text
    assert "0.05/h takes 59.9 h" in text
    assert report["command"] in text and "damaged after 1.20 s" in text


def test_rates_beyond_the_hours_are_marked(pages):
    for case, marks in (("six", 4), ("many points", 1), ("no other audio", 4)):
        text = pages[case].read_text(encoding="utf-8")
        assert text.count('title="more than these hours can show"') >= marks


def test_misses_and_false_accepts_are_all_listed_the_keywords_in_turns():
    report = reports.make_report(positives=25, conditions=["clean", "0 dB"], seed=1)
    found = clips.events(report)
    missed = [event for event in found if event.kind == "miss"]
    assert len(missed) == sum(trial["fired_s"] is None for trial in report["trials"])
    assert len(found) - len(missed) == len(report["accepts"])
    clean = [event for event in missed if event.condition == "clean"]
    assert missed[: len(clean)] == clean, "clean ones come first"
    turns = [sum(e.keyword == event.keyword for e in clean[:i]) for i, event in enumerate(clean)]
    assert turns == sorted(turns)
    for keyword in report["keywords"]:
        scores = [event.score for event in clean if event.keyword == keyword]
        woken = [event.score for event in found if event.kind == "accept" and event.keyword == keyword]
        assert scores == sorted(scores) and woken == sorted(woken, reverse=True)


def test_the_number_of_clips_has_a_limit_that_the_page_tells(tmp_path):
    report = reports.make_report(["alexa", "computer"], 150, conditions=reports.CONDITIONS, hopeless=0.6)
    reader = Reader(page_of(report, tmp_path, lambda *_: np.zeros(800, np.float32)))
    events = len(clips.events(report))
    assert events > 200 and len(reader.data["clips"]) == 200 and len(reader.data["events"]) == events
    assert f"200 of {events} events have their sound here" in reader.text


@pytest.mark.parametrize(
    ("start_s", "end_s", "asked"),
    [
        (30.0, 30.8, (28.5, 31.55)),
        (0.4, 1.0, (0.0, 1.75)),
        (None, None, (0.0, 8.0)),
        (5.0, 60.0, (3.5, 11.5)),
    ],
)
def test_the_sound_around_an_event_is_asked_for(start_s, end_s, asked):
    calls = []

    def listen(audio: str, condition: str, start: float, end: float) -> np.ndarray:
        calls.append((audio, condition, start, end))
        return np.zeros(round((end - start) * 16_000), np.float32)

    report = reports.make_report(["computer"], 1, conditions=["clean"])
    report["accepts"] = []
    report["trials"][0].update(fired_s=None, start_s=start_s, end_s=end_s, audio="a.flac")
    (event,) = clips.events(report)
    clip = clips.cut(event, listen)
    ((audio, condition, *span),) = calls
    assert (audio, condition) == ("a.flac", "clean") and span == pytest.approx(asked)
    assert clip["seconds"] == pytest.approx(asked[1] - asked[0])
    if start_s is None:
        assert clip["mark"] == []
    else:
        assert clip["start"] + clip["mark"][0] == pytest.approx(start_s, abs=2e-3)


@pytest.mark.parametrize("samples", [1, 500, 16_000, 52_000])
def test_a_clip_is_an_mp3_of_that_sound(samples):
    """As long as the sound, not shifted, and nearly the same."""
    original = np.resize(tones.speak("ABCFED "), samples)
    decoded, rate = soundfile.read(io.BytesIO(clips.mp3(original)), dtype="float32")
    assert rate == 16_000 and decoded.shape == (samples,)
    if samples > 10_000:
        assert np.corrcoef(decoded, original)[0, 1] > 0.98


def test_the_drawing_of_a_clip_is_loud_where_the_clip_is():
    quiet, loud = np.full(8000, 0.001, np.float32), np.full(8000, 0.9, np.float32)
    drawn = clips.bars(np.concatenate([quiet, loud]))
    assert set(drawn[: len(drawn) // 2 - 1]) == {"1"} and set(drawn[len(drawn) // 2 + 1 :]) == {"z"}
    assert clips.bars(np.zeros(3, np.float32)) == "000"


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@needs_chromium
@pytest.mark.parametrize("case", CASES)
def test_a_browser_opens_it_without_complaint_at_any_width(case, pages, browser):
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(pages[case])
    for width in (1280, 700, 390, 320):
        browser.resize(width, 900)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    browser.resize(1280, 900)
    assert browser.evaluate("[...document.querySelectorAll('svg *')].every((e) => !/NaN|undefined/.test(e.outerHTML))")
    assert browser.complaints == [] and browser.requests == [pages[case].resolve().as_uri()]


@needs_chromium
def test_switching_the_thresholds_shows_their_counts(pages, browser):
    report = CASES["six"]()
    browser.open(pages["six"])
    for number, point in enumerate(report["all"]["points"]):
        browser.evaluate(f"document.querySelectorAll('.switch input')[{number}].click()")
        leads = "[...document.querySelectorAll('.lead')].filter((p) => p.offsetParent)"
        (lead,) = browser.evaluate(f"{leads}.map((p) => p.innerText)")
        assert f"{point['misses']} of {point['positives']}" in lead


@needs_chromium
def test_the_threshold_can_be_moved_over_every_count(pages, browser):
    """With the arrow keys, from the lowest threshold to the highest: each stop tells the counts of report.json."""
    report = reports.make_report(["alexa", "jarvis"], 12, conditions=["clean"])
    browser.open(pages["one condition"])
    browser.evaluate("document.querySelectorAll('#chips button')[1].click()")
    seen = browser.evaluate(
        """(() => {
          const slider = document.getElementById('threshold'), seen = [];
          slider.value = 0;
          slider.dispatchEvent(new Event('input'));
          for (let text = '', last = null; text !== last; ) {
            seen.push(text = document.getElementById('readout').innerText);
            slider.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
            last = document.getElementById('readout').innerText;
          }
          return seen;
        })()"""
    )
    keyword = report["keywords"]["jarvis"]
    stops = {p["threshold"]: p for p in [*keyword["det"], *keyword["points"]]}
    assert len(seen) == len(stops)
    for text, threshold in zip(seen, sorted(stops), strict=True):
        assert text.startswith(f"jarvis at {threshold:.3f}")
        assert f"missed {stops[threshold]['misses']} of 12" in text
        assert f"{stops[threshold]['false_accepts']} false accept" in text


@needs_chromium
def test_every_clip_plays(pages, browser):
    browser.open(pages["six"])
    durations = browser.evaluate(
        """(async () => {
          const { clips } = JSON.parse(document.getElementById('data').textContent);
          const context = new OfflineAudioContext(1, 1, 16000);
          const bytes = (clip) => Uint8Array.from(atob(clip.mp3), (c) => c.charCodeAt(0)).buffer;
          const decoded = await Promise.all(clips.map((clip) => context.decodeAudioData(bytes(clip))));
          return decoded.map((sound, i) => sound.duration - clips[i].seconds);
        })()"""
    )
    assert len(durations) > 10 and max(map(abs, durations)) < 0.01
    playing = """(async () => {
      const button = document.querySelector('[data-play]');
      button.click();
      for (let wait = 0; wait < 100 && !document.querySelector('.played').getAttribute('d'); wait++)
        await new Promise((done) => setTimeout(done, 50));
      const played = document.querySelector('.played').getAttribute('d').length;
      button.click();
      return [played, document.querySelector('.played').getAttribute('d').length];
    })()"""
    during, after = browser.evaluate(playing)
    assert during > 0 and after == 0


@needs_chromium
def test_a_mark_on_the_timeline_leads_to_its_card(pages, browser):
    browser.open(pages["six"])
    found = browser.evaluate(
        """[...document.querySelectorAll('.event')].map((mark) => {
          mark.dispatchEvent(new MouseEvent('click', { bubbles: true }));
          const card = document.querySelector('.card.on');
          const keyword = card.querySelector('h3').firstChild.data;
          return card.dataset.event === mark.dataset.event && mark.getAttribute('aria-label').includes(keyword);
        })"""
    )
    assert len(found) > 10 and all(found)


@needs_chromium
def test_a_nasty_name_is_shown_as_it_is(tmp_path, browser):
    report = reports.make_report([NASTY, "<b>bold</b>"], 5, 2.0, ["clean", "<i>0 dB"], 3.0)
    for row in [*report["trials"], *report["accepts"]]:
        row["name"] = row["text"] = row["speaker"] = NASTY
    page_of(report, tmp_path, unreadable(NASTY))
    browser.complaints.clear()
    browser.open(tmp_path / "report.html")
    assert browser.evaluate("document.querySelectorAll('b b, h3 script, #chips script').length") == 0
    assert "<b>bold</b>" in browser.evaluate("document.getElementById('chips').innerText")
    assert browser.complaints == []


@needs_chromium
def test_pointing_at_the_curve_tells_its_counts(pages, browser):
    """At the mark of the keyword's own threshold: threshold, misses, false accepts and hours."""
    browser.open(pages["six"])
    place = "document.querySelector('#det .here').getBoundingClientRect()"
    browser.evaluate(
        f"document.getElementById('det').scrollIntoView({{behavior: 'instant', block: 'center'}}) ?? {place}.x"
    )
    box = browser.evaluate(f"{place}.toJSON()")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    own = CASES["six"]()["keywords"]["alexa"]["points"][0]
    told = browser.evaluate("document.getElementById('tip').innerText")
    assert told.startswith("alexa at 0.46\n") and f"missed {own['misses']} of {own['positives']}" in told
    assert f"{own['false_accepts']} false accept" in told and "in 2.45 h" in told


@needs_chromium
@pytest.mark.parametrize(("timed", "title"), [(True, "along 2.62 h of audio"), (False, "False accepts, in order")])
def test_false_accepts_stand_on_the_time_axis_where_it_is_known(timed, title, tmp_path, browser):
    """Confusable phrases, which are not in the hours, have a panel of their own."""
    report = reports.make_report(["alexa"], 12, conditions=["clean"])
    row = {**report["accepts"][0], "kind": "confusable", "at_s": None}
    hours = report["data"]["hours"]
    first = {**report["accepts"][0], "at_s": 1800 * hours if timed else None}
    report["accepts"] = [first, row]
    page_of(report, tmp_path, unreadable("it"))
    browser.open(tmp_path / "report.html")
    titles = browser.evaluate("[...document.querySelectorAll('#timeline b')].map((b) => b.innerText)")
    assert any(title in found for found in titles) and any("Confusable" in found for found in titles)
    if timed:
        shares = browser.evaluate(
            """[...document.querySelectorAll('#timeline figure')].slice(1, 2).flatMap((figure) => {
              const lane = figure.querySelector('.lane').getBoundingClientRect();
              return [...figure.querySelectorAll('.event')].map((mark) => {
                const box = mark.getBoundingClientRect();
                return (box.x + box.width / 2 - lane.x) / lane.width;
              });
            })"""
        )
        assert shares == [pytest.approx(0.5, abs=0.02)]
