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
from kws.evaluate.report.page import clips, markup, sections
from kws.evaluate.report.page import document as page
from pages import CASES, NASTY, page_of, unreadable, write_all

VOID = {"meta", "link", "input", "br", "rect", "line", "path", "circle"}
NAMES = st.text(st.characters(), min_size=1, max_size=12)  # halves of surrogate pairs among them


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


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """A page of every kind of report."""
    return write_all(tmp_path_factory.mktemp("pages"))


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
    found = clips.events(reports.typed(report))
    for number, point in enumerate(report["all"]["points"]):
        here = [event for event in found if event.scores[number] is not None]
        missed = [event for event in here if event.kind == "miss"]
        assert len(missed) == sum(trial["missed"][number] for trial in report["trials"])
        assert sum(event.condition == "clean" for event in missed) == point["misses"]
        assert len(here) - len(missed) == point["false_accepts"]
    missed = [event for event in found if event.kind == "miss"]
    clean = [event for event in missed if event.condition == "clean"]
    assert missed[: len(clean)] == clean, "clean ones come first"
    turns = [sum(e.keyword == event.keyword for e in clean[:i]) for i, event in enumerate(clean)]
    assert turns == sorted(turns)

    def scores(kind: str, keyword: str) -> list[float]:
        """Of clean events."""
        mine = [e for e in found if (e.kind, e.keyword, e.condition) == (kind, keyword, "clean")]
        return [max(score for score in event.scores if score is not None) for event in mine]

    for keyword in report["keywords"]:
        assert scores("miss", keyword) == sorted(scores("miss", keyword))
        assert scores("accept", keyword) == sorted(scores("accept", keyword), reverse=True)


def test_the_words_at_a_place_are_told_with_some_around_them():
    text = " ".join(f"word{i:02}" for i in range(100))
    before, here, after = clips.passage(text, 0.5, 0.505)
    assert here == "word50" and before.startswith("…word") and after.endswith("…")
    assert before.endswith("word49 ") and after.startswith(" word51") and len(before + here + after) < 140
    assert clips.passage(text, -0.2, 0.001)[:2] == ("", "word00") and clips.passage(text, 0.999, 7)[1:] == (
        "word99",
        "",
    )
    assert clips.passage("few glasses", 0.1, 0.9) == ("", "few glasses", "")


@given(st.text(st.sampled_from("ab 語"), max_size=400), st.floats(-1, 2), st.floats(0, 1))
def test_a_passage_is_short_and_a_part_of_the_text(text, start, length):
    found = clips.passage(text, start, start + length)
    assert "".join(found).strip("…") in " ".join(text.split())
    assert len(found.before) <= 61 and len(found.after) <= 61
    assert found.here or not text.strip()


def test_the_number_of_clips_has_a_limit_that_the_page_tells(tmp_path):
    report = reports.make_report(["alexa", "computer"], 150, conditions=reports.CONDITIONS, hopeless=0.6)
    reader = Reader(page_of(report, tmp_path, lambda *_: np.zeros(800, np.float32)))
    found = clips.events(reports.typed(report))
    assert len(found) > 200 and len(reader.data["clips"]) == 200 and len(reader.data["events"]) == len(found)
    for number in range(len(report["all"]["points"])):
        here = [place for place, event in enumerate(found) if event.scores[number] is not None]
        loud = sum(place < 200 for place in here)
        assert loud < len(here) and f"{loud} of {len(here)} events have their sound here" in reader.text


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
    trial = report["trials"][0]
    trial.update(missed=[True] * len(trial["missed"]), start_s=start_s, end_s=end_s, audio="a.flac")
    (event,) = clips.events(reports.typed(report))
    clip = clips.cut(event, listen)
    ((audio, condition, *span),) = calls
    assert (audio, condition) == ("a.flac", "clean") and span == pytest.approx(asked)
    assert clip.seconds == pytest.approx(asked[1] - asked[0])
    if start_s is None:
        assert clip.mark == ()
    else:
        assert clip.start + clip.mark[0] == pytest.approx(start_s, abs=2e-3)


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


def latency_of(median: float, p95: float) -> str:
    report = reports.make_report(["alexa", "computer"], 12, conditions=["clean"])
    for part in (*report["keywords"].values(), report["all"]):
        part["latency_ms"] = {"n": 9, "median": median, "p95": p95}
    report["keywords"]["alexa"]["latency_ms"] = {"n": 9, "median": -220.0, "p95": -150.0}
    made = reports.typed(report)
    return sections.latency(made) + markup.headline(made)


def test_an_event_before_the_end_of_the_word_is_drawn_and_told_so():
    early, late = latency_of(-110.0, 80.0), latency_of(45.0, 135.0)
    ticks, zeros = (
        [float(x) for x in re.findall(rf'class="{part}" x="([\d.]+)"', early)] for part in ("value", "zero")
    )
    assert ticks[0] == 0 and ticks[1] == pytest.approx(100 * 110 / 300, abs=1)
    assert len(zeros) == 3 and zeros == pytest.approx([100 * 220 / 300] * 3, abs=0.01)
    assert "220 ms before" in early and "80 ms after" in early and "45 ms after" in late
    assert "Heard before the word’s end</dt><dd><b>0.11 s</b>" in early and "95&nbsp;% by 0.08 s after it" in early
    assert "Heard after the word’s end" in late


@pytest.mark.parametrize(
    ("accepts", "sentence"), [(0, "and <b>never</b> woke"), (1, "falsely <b>once</b> in"), (2, "<b>2 times</b> in")]
)
def test_the_sentence_at_the_top(accepts, sentence):
    report = reports.make_report(["alexa"], 12, conditions=["clean"])
    report["all"]["points"] = [reports.point(None, None, 3, 12, accepts, 2.45)]
    assert sentence in markup.headline(reports.typed(report))


def test_who_has_no_word_ends_is_told_how_to_get_them():
    report = reports.make_report(["alexa"], 12, conditions=["clean"])
    report["keywords"]["alexa"]["latency_ms"] = report["all"]["latency_ms"] = None
    assert sections.latency(reports.typed(report)) == "", "they are known, and nothing was heard"
    for trial in report["trials"]:
        trial["start_s"] = trial["end_s"] = None
    assert "kws data align" in sections.latency(reports.typed(report))
    report["trials"] = []
    assert sections.latency(reports.typed(report)) == "", "nobody spoke"


def test_the_page_says_that_false_accepts_are_counted_without_noise(pages):
    for case, told in (("six", True), ("one condition", False)):
        assert ("as they are, without noise" in pages[case].read_text(encoding="utf-8")) == told
