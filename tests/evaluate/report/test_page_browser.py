"""The report's page in a browser: it opens without a complaint, and shows and plays what was chosen."""

import re
from pathlib import Path

import pytest

import reports
from browser import CHROMIUM, Browser
from pages import CASES, NASTY, page_of, unreadable, write_all

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """A page of every kind of report."""
    return write_all(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


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


def test_switching_the_thresholds_shows_their_counts(pages, browser):
    report = CASES["six"]()
    browser.open(pages["six"])
    for number, point in enumerate(report["all"]["points"]):
        browser.evaluate(f"document.querySelectorAll('.switch input')[{number}].click()")
        leads = "[...document.querySelectorAll('.lead')].filter((p) => p.offsetParent)"
        (lead,) = browser.evaluate(f"{leads}.map((p) => p.innerText)")
        assert f"{point['misses']} of {point['positives']}" in lead


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
    assert len(found) > 5 and all(found)


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


def test_false_accepts_stand_on_the_time_axis_beside_misses(tmp_path, browser):
    """Confusable phrases, which are not in the hours, have a panel of their own; misses have no time."""
    report = reports.make_report(["alexa"], 12, conditions=["clean"])
    report["trials"][0]["missed"] = [True] * len(report["trials"][0]["missed"])
    loud = {**report["accepts"][0], "scores": [0.9] * len(report["all"]["points"])}
    row = {**loud, "kind": "confusable", "at_s": None}
    report["accepts"] = [{**loud, "at_s": 1800 * report["data"]["hours"]}, row]
    page_of(report, tmp_path, unreadable("it"))
    browser.open(tmp_path / "report.html")
    titles = browser.evaluate("[...document.querySelectorAll('#timeline b')].map((b) => b.innerText)")
    assert [title.split()[0] for title in titles] == ["Misses,", "False", "Confusable"]
    assert "along 2.62 h of audio" in titles[1]
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


LISTED = """(() => {
  const panels = [...document.querySelectorAll('#timeline figure')];
  const panel = (title) => panels.find((panel) => panel.innerText.startsWith(title));
  const marks = (title) => panel(title)?.querySelectorAll('.event').length ?? 0;
  while (!document.getElementById('more').hidden) document.getElementById('more').click();
  const cards = [...document.querySelectorAll('.card h3')].map((head) => head.innerText.replace(/\\s+/g, ' '));
  const visible = (node) => node.offsetParent !== null;
  return {
    misses: marks('Misses'), accepts: marks('False accepts'), cards,
    players: document.querySelectorAll('[data-play]').length,
    told: document.getElementById('shown').innerText, shown: visible(document.getElementById('cards')),
  };
})()"""


def test_what_went_wrong_is_that_of_the_chosen_thresholds(pages, browser):
    report = CASES["six"]()
    browser.open(pages["six"])
    seen = set()
    for number, point in enumerate(report["all"]["points"]):
        browser.evaluate(f"document.querySelectorAll('.switch input')[{number}].click()")
        listed = browser.evaluate(LISTED)
        misses, accepts = point["misses"], point["false_accepts"]
        if not listed["shown"]:
            assert misses == accepts == 0
            continue
        assert (listed["misses"], listed["accepts"]) == (misses, accepts)
        assert len(listed["cards"]) == listed["players"] == misses + accepts
        assert listed["told"].startswith(f"{misses} miss") and f"{accepts} false accept" in listed["told"]
        for card in listed["cards"]:
            name, verdict, score, sign, threshold = re.fullmatch(
                r"(.+?) (missed|false accept) peak ([\d.]+) ([<≥]) ([\d.]+)", card
            ).groups()
            assert (sign == "<") == (verdict == "missed") and (float(score) <= float(threshold)) == (sign == "<")
            own = report["keywords"][name]["points"][number]["threshold"]
            assert float(threshold) == pytest.approx(own, abs=0.005)
        seen.add((misses, accepts))
    assert len(seen) > 2


def test_a_sound_stops_when_other_thresholds_take_its_card_away(pages, browser):
    browser.open(pages["six"])
    playing = "document.querySelectorAll('.played:not([d=\"\"])').length"
    started = browser.evaluate(
        f"""(async () => {{
          document.querySelectorAll('.switch input')[4].click();
          document.getElementById('kind').value = 'accept';
          document.getElementById('filters').dispatchEvent(new Event('input'));
          document.querySelector('[data-play]').click();
          for (let wait = 0; wait < 100 && !{playing}; wait++) await new Promise((done) => setTimeout(done, 50));
          return {playing};
        }})()"""
    )
    assert started == 1
    browser.evaluate("document.querySelectorAll('.switch input')[1].click()")
    assert browser.evaluate(playing) == 0


def test_the_curve_of_the_other_report_is_drawn_dashed(pages, browser):
    for case, curves in (("six", 1), ("one condition", 0)):
        browser.open(pages[case])
        assert browser.evaluate("document.querySelectorAll('#det .earlier').length") == curves
        assert ("wake-words 0.0.9" in browser.evaluate("document.querySelector('.key').innerText")) == bool(curves)


def test_the_table_of_conditions_fits_a_desktop_and_a_table_that_does_not_fit_can_be_reached(tmp_path, browser):
    page_of(reports.make_report(positives=12, seed=2), tmp_path, unreadable("it"))
    browser.open(tmp_path / "report.html")
    tables = "[...document.querySelectorAll('#conditions .scroll')].filter((e) => e.offsetParent)"
    over = f"{tables}.map((e) => [e.scrollWidth > e.clientWidth, e.tabIndex])"
    assert browser.evaluate(over) == [[False, -1]]
    browser.resize(390, 800)
    browser.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    assert browser.evaluate(over) == [[True, 0]]
    browser.resize(1280, 900)


ROWS = """[...document.querySelectorAll('#keywords .at-point:not([hidden]) tbody tr')].map((row) => {
  const place = (node) => node.getBoundingClientRect();
  const bars = [...row.querySelectorAll('.bar')].map((bar) => place(bar).width);
  const right = Math.max(...[...row.children].map((cell) => cell.scrollWidth + place(cell).x));
  return { height: place(row).height, bars, over: right - place(row.closest('.scroll')).right };
})"""


@pytest.mark.parametrize(("width", "tallest"), [(390, 115), (800, 95), (1280, 45)])
def test_the_main_table_is_low_and_shows_its_intervals_at_any_width(width, tallest, pages, browser):
    """Five lines a row is what a squeezed table would be, about 130 px."""
    for case, bars in (("six", 2), ("nobody spoke", 1)):
        browser.resize(width, 900)
        browser.open(pages[case])
        rows = browser.evaluate(ROWS)
        assert len(rows) > 2
        for row in rows:
            assert row["height"] <= tallest and row["over"] <= 0
            assert len(row["bars"]) == bars and min(row["bars"]) >= 48
    browser.resize(1280, 900)


SCORES = """(() => {
  const place = (node) => node.getBoundingClientRect();
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const bars = [...document.querySelectorAll('#scores rect')];
  const labels = [...document.querySelectorAll('#scores .legend')];
  const limit = place(document.querySelector('#scores .limit'));
  return {
    kinds: bars.map((bar) => bar.getAttribute('class')),
    wrong: bars.filter((bar) => bar.classList.contains('below') !== (place(bar).right - 1 <= limit.left)).length,
    called: bars.filter((bar) => bar.matches('.woke.below') && !/if the threshold were/.test(bar.textContent)).length,
    covered: labels.filter((label) => bars.some((bar) => meet(place(label), place(bar)))).length,
    labels: labels.map((label) => label.textContent),
    caption: document.getElementById('scores').previousSibling.innerText,
  };
})()"""


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_scores_below_the_threshold_are_no_false_accepts_and_no_label_lies_on_a_bar(width, pages, browser):
    for case, spoken in (("six", True), ("nobody spoke", False)):
        browser.resize(width, 900)
        browser.open(pages[case])
        found = browser.evaluate(SCORES)
        assert "woke below" in found["kinds"] and found["wrong"] == found["called"] == found["covered"] == 0
        assert ("↑ words said" in found["labels"]) == spoken == ("said (up)" in found["caption"])
        assert any(kind.startswith("said") for kind in found["kinds"]) == spoken
    browser.resize(1280, 900)
