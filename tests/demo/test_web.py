"""The page in the browser: the numbers and events of Python, in real Chromium, with a recording as microphone."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import Browser
from kws import audio
from kws.runtime.detector import Detector
from kws.runtime.keywords import open_detector
from webpage import Events, click, drop, evaluate, events, press, ready, served, speak, text, wait

STRANGE = "kws.test"  # a name that leads here and is neither https nor localhost


def detected(recording: Path, model: str = "wake-words", *phrases: str) -> Events:
    """What `kws detect` hears, rounded as the page shows it."""
    heard = open_detector(model, list(phrases)).stream().process(audio.read(recording), last=True)
    return [(event.keyword, pytest.approx(event.end_s), pytest.approx(event.score, abs=0.006)) for event in heard[0]]


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    return speak(tmp_path_factory.mktemp("sound") / "words.wav")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served("wake-words", "speech-commands", "phones") as found:
        yield found


@pytest.fixture(scope="module")
def browser(port, recording) -> Iterator[Browser]:
    """A browser whose microphone is the recording, once."""
    flags = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with Browser(flags=[*flags, f"--use-file-for-fake-audio-capture={recording}%noloop"]) as opened:
        yield opened


@pytest.fixture
def page(browser, port) -> Browser:
    """The page, ready to hear."""
    return ready(browser, f"http://localhost:{port}/")


# The page

OPEN = """
const data = new DataTransfer();
data.items.add(new File([await (await fetch(from)).blob()], name));
const input = document.getElementById("file");
input.files = data.files;
input.dispatchEvent(new Event("change"));
"""

CHOOSE = """
const select = document.getElementById("model");
select.selectedIndex = [...select.options].findIndex((option) => option.text === model);
select.dispatchEvent(new Event("change"));
"""

PAINTED = """
const canvas = document.getElementById("timeline");
await new Promise((resume) => requestAnimationFrame(() => requestAnimationFrame(resume)));
return new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size;
"""

SLOW = """
const { Detector } = await import("/detector.js");
const run = Detector.prototype.run;
Detector.prototype.run = async function (...values) {
  await new Promise((resume) => setTimeout(resume, 5));
  return run.apply(this, values);
};
"""

FAULTY = """
const devices = navigator.mediaDevices;
const real = devices.getUserMedia.bind(devices);
devices.getUserMedia = async (asked) => {
  if (window.fault) throw new DOMException("", window.fault);
  return (window.media = await real(asked));
};
"""


def hear(page: Browser, file: str = "words.wav") -> None:
    evaluate(page, OPEN, **{"from": file, "name": file})
    wait(page, "status", "Heard .* event")


def choose(page: Browser, model: str) -> None:
    evaluate(page, CHOOSE, model=model)
    wait(page, "status", f"{model} is ready")


FIRED = """
const { Signal } = await import("/signal.js");
const headline = document.getElementById("say");
const beep = document.getElementById("beep");
const seen = [beep.checked, beep.labels[0].textContent.trim(), document.querySelector(".loudness").textContent.trim()];
const signal = new Signal(headline, beep);
signal.fire("red", true);
seen.push(headline.classList.contains("fired"), signal.context === null);
beep.checked = true;
signal.fire("red", false);
seen.push(signal.context === null);
signal.fire("red", true);
seen.push(signal.context !== null);
await new Promise((resume) => setTimeout(resume, 900));
return [...seen, headline.classList.contains("fired")];
"""


def test_an_event_flashes_and_beeps_only_live_and_if_asked_for(page):
    silent, label, meter, *then = evaluate(page, FIRED)
    assert (silent, label, meter) == (False, "Beep when a keyword is heard", "Level of the sound")
    assert then == [True, True, True, True, False]


def test_a_file_gives_the_events_of_kws_detect_and_nobody_is_asked_for_anything(page, port, recording):
    drop(page, recording)
    wait(page, "status", r"Heard 4\.6 s of words.wav in .*: 2 events")
    assert events(page) == detected(recording)
    told = page.evaluate("document.getElementById('timeline').ariaLabel")
    assert all(f"{word} at {end:.1f} s" in told for word, end, _ in events(page))
    assert evaluate(page, PAINTED) > 50
    own = (f"http://localhost:{port}/", f"blob:http://localhost:{port}/", "data:")
    assert [address for address in page.requests if not address.startswith(own)] == []
    assert page.complaints == []


def test_the_microphone_gives_the_events_of_kws_detect(page, recording):
    click(page, "listen")
    wait(page, "status", r"Listening through .* at [\d.]+ kHz")
    wait(page, "status", "nothing but silence")  # the recording is over
    found = events(page)
    wanted = Detector.load().stream().push(audio.read(recording))
    assert [word for word, *_ in found] == [event.keyword for event in wanted]
    shifts = [end - event.end_s for (_, end, _), event in zip(found, wanted, strict=True)]
    assert max(shifts) - min(shifts) <= 0.08 and max(map(abs, shifts)) < 1.0, shifts
    click(page, "listen")
    assert text(page, "status") == "Stopped." and text(page, "listen") == "Listen"
    assert page.complaints == []


def test_another_model_takes_over_while_something_is_heard(page, recording):
    """What the model before still had at work is neither shown nor counted; its microphone is closed."""
    empty = evaluate(page, PAINTED)
    evaluate(page, FAULTY + SLOW)
    click(page, "listen")
    wait(page, "status", "Listening|silence")
    choose(page, "speech-commands")
    assert text(page, "listen") == "Listen"
    assert page.evaluate("window.media.getTracks()[0].readyState") == "ended"
    click(page, "example")
    evaluate(page, "while (player.hidden) await new Promise((resume) => setTimeout(resume, 20))")
    choose(page, "wake-words")
    time.sleep(0.3)
    assert events(page) == [] and page.complaints == []
    assert evaluate(page, PAINTED) == empty
    hear(page)
    assert events(page) == detected(recording)


def test_a_model_that_does_not_come_leaves_the_one_before(page, recording):
    page.evaluate("document.getElementById('model').options[1].value = 'models/gone.onnx'")
    evaluate(page, CHOOSE, model="speech-commands")
    assert "models/gone.onnx could not be loaded" in wait(page, "problem", ".")
    assert page.evaluate("document.getElementById('model').selectedOptions[0].text") == "wake-words"
    hear(page)
    assert events(page) == detected(recording)


@pytest.mark.parametrize("model", ["wake-words", "phones"])
def test_a_phrase_of_ones_own_gives_the_events_of_kws_detect(model, page, recording):
    """Added twice: the second spelling replaces the first. `phones` has no keyword of its own."""

    def add(phrase: str, phones: str) -> None:
        for name, value in {"phrase": phrase, "phones": phones}.items():
            page.evaluate(f"document.getElementById('{name}').focus()")
            page.send("Input.insertText", text=value)
        press(page, "\r", 13)

    choose(page, model)
    add("the smart", "Z UW")
    wait(page, "status", "“the smart” is heard")
    add(" The  smart ", "dh ah0 s m aa1 r t | DH IY S M AA R T")
    page.evaluate("document.getElementById('reset').focus()")
    hear(page)
    assert events(page) == detected(recording, model, "the smart=DH AH S M AA R T|DH IY S M AA R T")
    assert page.evaluate("document.getElementById('keywords').rows.length") == (7 if model == "wake-words" else 1)
    assert "“the\u00a0smart”" in text(page, "say")


def test_a_phrase_that_cannot_be_spelled_is_refused_in_a_sentence(page):
    refusals = [("hey", "HH EY Q", "no phone Q. It has AA "), ("hey", " ", "no phones"), (" ", "HH EY", "no name")]
    for phrase, phones, wanted in [*refusals, ("Alexa", "AH", "already"), ("hey", "HH EY|", "no phones")]:
        page.evaluate(f"document.getElementById('phrase').value = '{phrase}'")
        page.evaluate(f"document.getElementById('phones').value = '{phones}'")
        click(page, "add")
        assert wanted in text(page, "own-problem")
    assert page.evaluate("document.getElementById('keywords').rows.length") == 6


def test_thresholds_can_be_moved_and_put_back(page, recording):
    word = min(detected(recording), key=lambda event: event[2].expected)[0]  # the slider ends at 0.99
    slider = f"document.querySelector('[aria-label=\"threshold of {word}\"]')"
    before = page.evaluate(f"{slider}.nextSibling.value")
    page.evaluate(f"{slider}.value = 0.999; {slider}.dispatchEvent(new Event('input'))")
    evaluate(page, "phrase.value = 'zoo'; phones.value = 'Z UW'; add.click()")  # keeps it
    hear(page)
    assert [name for name, *_ in events(page)] == [name for name, *_ in detected(recording) if name != word]
    click(page, "reset")
    assert page.evaluate(f"{slider}.nextSibling.value") == before


def test_a_file_that_is_no_sound_is_refused_in_a_sentence(page):
    evaluate(page, OPEN, **{"from": "style.css", "name": "notes.txt"})
    assert wait(page, "problem", ".") == "notes.txt is not a sound file that this browser can read."
    assert (text(page, "listen"), text(page, "status")) == ("Listen", "The file was not heard.")


def test_every_control_has_a_name_and_the_keyboard_reaches_it(page):
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "combobox", "slider", "image", "table", "log", "textbox", "form"}
    found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    named = [(role, name) for role, name in found if role in roles]
    assert [role for role, name in named if not name] == []
    assert {role for role, _ in named} == roles and sum(role == "slider" for role, _ in named) == 6
    reached = []
    for _ in range(16):
        press(page, "Tab", 9)
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.ariaLabel || 'log'"))
    sliders = [f"threshold of {keyword.name}" for keyword in Detector.load().keywords]
    before = ["listen", "example", "file", "model", "beep", "log"]
    assert reached == [*before, *sliders, "reset", "phrase", "phones", "add"]


def test_it_never_scrolls_sideways(page):
    for width in (700, 390, 320, 1280):
        page.resize(width, 900)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


DRAWS = """
const { Timeline } = await import("/timeline.js");
const draw = Timeline.prototype.draw;
let draws = 0;
Timeline.prototype.draw = function () { draws++; draw.call(this); };
await new Promise((resume) => setTimeout(resume, 1500));
return [draws, getComputedStyle(document.getElementById("level")).transitionDuration];
"""


@pytest.mark.parametrize(("wish", "least", "most", "transition"), [("reduce", 1, 2, "0s"), ("", 4, 99, "0.08s")])
def test_who_wants_less_motion_gets_a_picture_each_second(wish, least, most, transition, page):
    page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": wish}])
    click(page, "listen")
    wait(page, "status", "Listening|silence")
    draws, found = evaluate(page, DRAWS)
    assert least <= draws <= most and found == transition


# What can stand in the way

DEAF = """
AudioContext.prototype.resume = () => new Promise(() => {});
Object.defineProperty(AudioContext.prototype, "state", { value: "suspended" });
const later = setTimeout;
window.setTimeout = (what, ms) => later(what, ms / 50);
"""


def test_a_microphone_that_fails_is_told_and_can_be_opened_again(page):
    faults = {"NotFoundError": "no microphone", "NotReadableError": "Another program", "AbortError": "cannot be opened"}
    evaluate(page, FAULTY)
    for fault, wanted in faults.items():
        page.evaluate(f"window.fault = '{fault}'")
        click(page, "listen")
        wait(page, "problem", wanted)
        assert (text(page, "status"), text(page, "listen")) == ("Not listening.", "Listen")
    page.evaluate("window.fault = null")
    click(page, "listen")
    wait(page, "status", "Listening|silence")
    assert text(page, "problem") == ""
    page.evaluate("window.media.getTracks()[0].dispatchEvent(new Event('ended'))")
    wait(page, "problem", "unplugged")
    assert text(page, "listen") == "Listen" and page.complaints == []


def test_audio_that_does_not_start_is_told(page):
    """As in Firefox where there is nothing to play on."""
    evaluate(page, DEAF)
    click(page, "listen")
    assert "loudspeaker" in wait(page, "problem", ".")


def test_a_refused_microphone_and_an_unsafe_address_are_told(port):
    """Really refused, by the browser's own permission; and a page from elsewhere than https:// or localhost."""
    device = "--use-fake-device-for-media-stream"
    with Browser(flags=[device, f"--host-resolver-rules=MAP {STRANGE} 127.0.0.1"]) as browser:
        here = f"http://localhost:{port}"
        browser.send("Browser.setPermission", permission={"name": "microphone"}, setting="denied", origin=here)
        ready(browser, here + "/")
        browser.evaluate("document.getElementById('listen').focus()")
        press(browser, " ", 32)
        assert "blocked for this page" in wait(browser, "problem", ".")
        assert text(browser, "listen") == "Listen" and browser.complaints == []

        ready(browser, f"http://{STRANGE}:{port}/")
        click(browser, "listen")
        assert "https://" in (problem := wait(browser, "problem", ".")) and STRANGE in problem


def test_without_onnxruntime_web_the_page_says_how_to_bring_it(browser, port):
    browser.send("Network.setBlockedURLs", urls=["*/vendor/*"])
    browser.open(f"http://localhost:{port}/")
    assert "kws web -o FOLDER --download" in wait(browser, "problem", ".")
    assert text(browser, "status") == "The page cannot hear."
    browser.send("Network.setBlockedURLs", urls=[])
