"""The page in the browser: the numbers and events of Python, in real Chromium, with a recording as microphone."""

import functools
import http.server
import io
import json
import re
import subprocess
import sys
import tarfile
import threading
import time
import wave
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import CHROMIUM, Browser
from kws import audio, cli
from kws.data.sources import packages
from kws.demo import site
from kws.errors import KwsError
from kws.runtime.detector import Detector
from kws.runtime.session import OnnxModel, find, shipped
from kws.scoring import KeywordScorer
from kws.trigger import Trigger
from trees import ROOT

WEB = ROOT / "demo/web"
RUNTIME = ROOT / "runs/web/vendor"
STRANGE = "kws.test"  # a name that leads here and is neither https nor localhost
START_S, LENGTH_S = 46.2, 3.6  # of demo/hear.wav: jarvis, smart mirror


def evaluate(browser: Browser, body: str, **values: Any) -> Any:
    """The value of a function's body in the page; `values` are its variables."""
    names = ", ".join(values)
    return browser.evaluate(f"(async ({{{names}}}) => {{ {body} }})({json.dumps(values)})")


def text(browser: Browser, name: str) -> str:
    return browser.evaluate(f"document.getElementById('{name}').innerText")


def wait(browser: Browser, name: str, wanted: str, seconds: float = 30.0) -> str:
    """The text of an element once it holds what is wanted."""
    end = time.monotonic() + seconds
    while not re.search(wanted, found := text(browser, name)):
        assert time.monotonic() < end, f"#{name} says {found!r}; #problem: {text(browser, 'problem')!r}"
        time.sleep(0.05)
    return found


def events(browser: Browser) -> list[tuple[str, float, float]]:
    """(keyword, end, score) of the list on the page, in order of time."""
    rows = "[...document.querySelectorAll('#events li:not(.none)')]"
    shown = browser.evaluate(f"{rows}.map((li) => [...li.children].map((part) => part.textContent))")
    return [(word, float(end.removesuffix(" s")), float(score.split()[1])) for end, word, score in reversed(shown)]


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    """Some seconds of the demo's recording and one of silence, which Chromium repeats when the file is over."""
    path = tmp_path_factory.mktemp("sound") / "words.wav"
    with wave.open(str(ROOT / "demo/hear.wav")) as whole, wave.open(str(path), "wb") as part:
        part.setparams(whole.getparams())
        whole.setpos(int(START_S * 16_000))
        part.writeframes(whole.readframes(int(LENGTH_S * 16_000)) + bytes(2 * 16_000))
    return path


@pytest.fixture(scope="module")
def detected(recording) -> list[tuple[str, float, float]]:
    """What `kws detect` hears in it."""
    words = [sys.executable, "-m", "kws", "detect", "--json", recording.name]
    ran = subprocess.run(words, cwd=recording.parent, capture_output=True, text=True, check=True)
    heard = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(heard) == 2
    return [(event["keyword"], event["end_s"], event["score"]) for event in heard]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, recording) -> Path:
    """The page with the default model, and onnxruntime-web if it is here."""
    made = tmp_path_factory.mktemp("site")
    if site.has_runtime(RUNTIME):
        (made / "vendor").symlink_to(RUNTIME)
        assert cli.main(["web", "wake-words", "-o", str(made)]) == 0
    else:
        site.write_site(made, [OnnxModel.load(find("wake-words"))])
    (made / "words.wav").write_bytes(recording.read_bytes())
    return made


@pytest.fixture(scope="module")
def port(folder) -> Iterator[int]:
    """A server of static files, as `python -m http.server` is one."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser(recording) -> Iterator[Browser]:
    """A browser whose microphone is the recording, once."""
    need_chromium()
    flags = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with Browser(flags=[*flags, f"--use-file-for-fake-audio-capture={recording}%noloop"]) as opened:
        yield opened


@pytest.fixture(scope="module")
def blank(browser, port) -> Browser:
    """A page of the server on which its modules can be imported, with nothing running."""
    browser.open(f"http://localhost:{port}/models.json")
    return browser


@pytest.fixture
def page(browser, port) -> Browser:
    """The page, ready to hear."""
    return ready(browser, f"http://localhost:{port}/")


def ready(browser: Browser, address: str) -> Browser:
    need_runtime()
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(address)
    wait(browser, "status", "is ready")
    return browser


def need_chromium() -> None:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here, bring it with: apt install chromium")


def need_runtime() -> None:
    if not site.has_runtime(RUNTIME):
        pytest.skip("onnxruntime-web is not here, bring it with: kws web -o runs/web --download")


# The scorer and the trigger, on log-posteriors

HEAR = """
const { KeywordScorer, Trigger } = await import("/scoring.js");
const scorer = new KeywordScorer(spellings, owner, { blank, peakWeight, maxDurationFrames, maxGapFrames });
const trigger = new Trigger(thresholds, refractory);
const watched = trigger.initState();
const out = { scores: [], ages: [], events: [] };
let state = scorer.initState();
let frame = 0;
for (const rows of chunks) {
  const heard = scorer.score(Float32Array.from(rows.flat()), tokens, state);
  state = heard.state;
  out.scores.push(...heard.scores);
  out.ages.push(...heard.ages);
  const fired = trigger.run(heard.scores, heard.ages, frame, watched);
  out.events.push(...fired.map(({ row, keyword }) => [frame + row, keyword]));
  frame += rows.length;
}
return out;
"""


@pytest.mark.parametrize("seed", range(6))
def test_scores_and_events_are_those_of_python(seed, blank):
    """Random spellings (repeated labels, several of a keyword), posteriors that say them now and then, odd chunks."""
    rng = np.random.default_rng(seed)
    tokens, frames, blank_id = 7, 400, int(seed % 2) * 3
    labels = [token for token in range(tokens) if token != blank_id]
    spellings = [rng.choice(labels, rng.integers(1, 5)).tolist() for _ in range(6)]
    owner = [0, 1, 1, 2, 3, 0]
    logits = rng.normal(0, 1.5, (frames, tokens))
    place = 0
    while place < frames - 30:  # one spelling after the other, label by label, with blanks between
        for label in spellings[rng.integers(len(spellings))]:
            for token in (label, blank_id):
                length = 18 if rng.random() < 0.1 else int(rng.integers(1, 3))  # now and then a held sound
                logits[place : place + length, token] += rng.uniform(1, 8)
                place += length
        place += int(rng.integers(0, 15))
    posteriors = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    limits = {"max_duration_frames": 20, "max_gap_frames": 5, "peak_weight": 0.7}
    scorer = KeywordScorer(spellings, owner, blank=blank_id, **limits)
    trigger = Trigger([0.3, 0.5, 0.2, 0.4], 8)
    scores, ages, _ = scorer.score(posteriors, scorer.init_state())
    fired, _ = trigger.run(scores, ages, 0, trigger.init_state())
    assert len(fired) > 8

    cuts = np.sort(rng.integers(0, frames, 30))
    heard = evaluate(
        blank, HEAR, spellings=spellings, owner=owner, blank=blank_id, peakWeight=0.7, maxDurationFrames=20,
        maxGapFrames=5, thresholds=[0.3, 0.5, 0.2, 0.4], refractory=8, tokens=tokens,
        chunks=[part.astype(float).tolist() for part in np.split(posteriors, cuts)],
    )  # fmt: skip
    np.testing.assert_allclose(np.reshape(heard["scores"], scores.shape), scores, rtol=1e-12, atol=1e-300)
    np.testing.assert_array_equal(np.reshape(heard["ages"], ages.shape), ages)
    assert heard["events"] == [list(event) for event in fired]


# Sound and model files

RESAMPLE = """
const { Resampler } = await import("/resample.js");
const resampler = new Resampler(rate);
const out = [];
let place = 0;
for (const length of [...lengths, sound.length]) {
  out.push(...resampler.push(Float32Array.from(sound.slice(place, (place += length)))));
}
return [...out, ...resampler.push(new Float32Array(0), true)];
"""


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_the_resampler_keeps_what_a_model_hears_and_blocks_change_nothing(rate, blank):
    """A chirp up to 7 kHz arrives in time and whole; what cannot be heard at 16 kHz leaves nothing behind."""
    seconds, low, high = 0.5, 50.0, min(7_000.0, 0.4 * rate)

    def chirp(at: int) -> np.ndarray:
        t = np.arange(round(seconds * at)) / at
        fade = np.minimum(1, np.minimum(t, seconds - t) / 0.05)
        return fade * np.sin(2 * np.pi * (low * t + (high - low) * t**2 / (2 * seconds)))

    sound = chirp(rate).astype(np.float32).astype(float).tolist()
    whole = np.array(evaluate(blank, RESAMPLE, rate=rate, sound=sound, lengths=[]))
    assert whole.size == 8_000
    assert np.abs(whole - chirp(16_000)).max() < 2e-3
    assert evaluate(blank, RESAMPLE, rate=rate, sound=sound, lengths=[1, 0, 777, 3]) == whole.tolist()
    if rate > 16_000:
        hiss = np.sin(2 * np.pi * 9_000 * np.arange(rate // 4) / rate).tolist()
        alias = np.array(evaluate(blank, RESAMPLE, rate=rate, sound=hiss, lengths=[]))
        assert np.abs(alias[500:-500]).max() < 1e-4


READ = """
const { readManifest } = await import("/manifest.js");
const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
try { return readManifest(bytes); } catch (error) { return error.message; }
"""


def base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


def test_the_manifest_is_read_from_the_model_file(blank):
    model = shipped()["wake-words"]
    whole = model.read_bytes()
    assert evaluate(blank, READ, file=base64(whole)) == json.loads(OnnxModel.load(model).manifest.to_json())
    for spoiled, wanted in [(whole[:-100], "damaged"), (b"RIFF" * 9, "not an .onnx file"), (b"", "no manifest")]:
        assert wanted in evaluate(blank, READ, file=base64(spoiled))
    newer = whole.replace(b'"schema": 1,', b'"schema": 9,')
    assert "schema" in evaluate(blank, READ, file=base64(newer))
    none = whole.replace(b"kws.manifest", b"kws.manifesd")
    assert "not a model of kws" in evaluate(blank, READ, file=base64(none))


STREAM = """
const { Detector } = await import("/detector.js");
const bytes = new Uint8Array(await (await fetch("/models/wake-words.onnx")).arrayBuffer());
const stream = (await Detector.load(bytes)).stream(rate);
const integers = new Int16Array(Uint8Array.from(atob(pcm), (letter) => letter.charCodeAt(0)).buffer);
const sound = Float32Array.from(integers, (integer) => integer / 32768);
const results = [];
for (let at = 0; at < sound.length; at += block) results.push(...await stream.push(sound.subarray(at, at + block)));
results.push(...await stream.flush());
return {
  posteriors: results.flatMap((r) => [...r.posteriors]), scores: results.flatMap((r) => [...r.scores]),
  events: results.flatMap((r) => r.events),
};
"""


@pytest.mark.parametrize(("rate", "block"), [(16_000, 999), (48_000, 1024), (44_100, 4096)])
def test_a_stream_hears_in_the_browser_what_it_hears_in_python(rate, block, blank, recording):
    need_runtime()
    sound = audio.read(recording, rate)
    pcm = (sound * 32_767).astype("<i2")
    wanted = Detector.load().stream(rate).process(pcm, last=True)
    heard = evaluate(blank, STREAM, rate=rate, block=block, pcm=base64(pcm.tobytes()))
    off = np.abs(np.reshape(heard["scores"], wanted.scores.shape) - wanted.scores).max()
    assert off < (1e-4 if rate == 16_000 else 0.05)  # two resamplers differ near 8 kHz
    if rate == 16_000:
        posteriors = np.reshape(heard["posteriors"], wanted.log_posteriors.shape)
        np.testing.assert_allclose(posteriors, wanted.log_posteriors, atol=1e-3)
    spans = [(event.keyword, event.start_s, event.end_s) for event in wanted.detections]
    assert len(spans) == 2
    assert [(event["keyword"], event["start_s"], event["end_s"]) for event in heard["events"]] == spans


# The page

OPEN = """
const data = new DataTransfer();
data.items.add(new File([await (await fetch(from)).blob()], name));
const input = document.getElementById("file");
input.files = data.files;
input.dispatchEvent(new Event("change"));
"""


PAINTED = """
const canvas = document.getElementById("timeline");
await new Promise((resume) => requestAnimationFrame(() => requestAnimationFrame(resume)));
return [...new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data)];
"""


def test_a_file_gives_the_events_of_kws_detect_and_nobody_is_asked_for_anything(page, port, detected):
    evaluate(page, OPEN, **{"from": "words.wav", "name": "words.wav"})
    wait(page, "status", rf"Heard 4\.6 s of words.wav in .*: {len(detected)} events")
    assert [(word, end) for word, end, _ in events(page)] == [(word, pytest.approx(end)) for word, end, _ in detected]
    assert [score for *_, score in events(page)] == [pytest.approx(score, abs=0.006) for *_, score in detected]
    told = page.evaluate("document.getElementById('timeline').ariaLabel")
    assert all(f"{word} at {end:.1f} s" in told for word, end, _ in detected)
    assert len(evaluate(page, PAINTED)) > 50
    own = (f"http://localhost:{port}/", f"blob:http://localhost:{port}/", "data:")
    assert [address for address in page.requests if not address.startswith(own)] == []
    assert page.complaints == []


def test_the_microphone_gives_the_events_of_kws_detect(page, detected):
    page.evaluate("document.getElementById('listen').click()")
    wait(page, "status", r"Listening through .* at [\d.]+ kHz")
    wait(page, "status", "nothing but silence")  # the recording is over
    found = events(page)
    assert [word for word, *_ in found] == [word for word, *_ in detected]
    shifts = [end - wanted for (_, end, _), (_, wanted, _) in zip(found, detected, strict=True)]
    assert max(shifts) - min(shifts) <= 0.08 and max(map(abs, shifts)) < 1.0, shifts
    page.evaluate("document.getElementById('listen').click()")
    assert text(page, "status") == "Stopped." and text(page, "listen") == "Listen"
    assert page.complaints == []


def test_thresholds_can_be_moved_and_put_back(page, detected):
    word = detected[0][0]
    slider = f"document.querySelector('[aria-label=\"threshold of {word}\"]')"
    before = page.evaluate(f"{slider}.nextSibling.value")
    page.evaluate(f"{slider}.value = 0.999; {slider}.dispatchEvent(new Event('input'))")
    evaluate(page, OPEN, **{"from": "words.wav", "name": "words.wav"})
    wait(page, "status", r"Heard 4\.6 s")
    assert [name for name, *_ in events(page)] == [name for name, *_ in detected if name != word]
    page.evaluate("document.getElementById('reset').click()")
    assert page.evaluate(f"{slider}.nextSibling.value") == before


def test_a_file_that_is_no_sound_is_refused_in_a_sentence(page):
    evaluate(page, OPEN, **{"from": "style.css", "name": "notes.txt"})
    assert wait(page, "problem", ".") == "notes.txt is not a sound file that this browser can read."
    assert text(page, "listen") == "Listen"


def test_every_control_has_a_name_and_the_keyboard_reaches_it(page):
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "combobox", "slider", "image", "table", "log", "status"}
    found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    named = [(role, name) for role, name in found if role in roles]
    assert [role for role, name in named if not name and role not in {"table", "status"}] == []
    assert sum(role == "slider" for role, _ in named) == 6
    reached = []
    for _ in range(14):
        page.send("Input.dispatchKeyEvent", type="rawKeyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.ariaLabel"))
    assert {"listen", "example", "file", "model", "events", "threshold of alexa"} <= set(reached)


def test_it_never_scrolls_sideways(page):
    for width in (700, 390, 320, 1280):
        page.resize(width, 900)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


# What can stand in the way

BREAK = """
const devices = navigator.mediaDevices;
const real = devices.getUserMedia.bind(devices);
devices.getUserMedia = async (asked) => {
  if (window.fault) throw new DOMException("", window.fault);
  return (window.media = await real(asked));
};
"""


def test_a_microphone_that_fails_is_told(page):
    faults = {"NotFoundError": "no microphone", "NotReadableError": "Another program", "AbortError": "cannot be opened"}
    evaluate(page, BREAK)
    for fault, wanted in faults.items():
        page.evaluate(f"window.fault = '{fault}'; document.getElementById('listen').click()")
        assert wanted in wait(page, "problem", wanted)
        assert (text(page, "status"), text(page, "listen")) == ("Not listening.", "Listen")


def test_a_microphone_that_is_pulled_out_is_told_and_can_be_opened_again(page):
    evaluate(page, BREAK)
    page.evaluate("document.getElementById('listen').click()")
    wait(page, "status", "Listening")
    page.evaluate("window.media.getTracks()[0].dispatchEvent(new Event('ended'))")
    assert "unplugged" in text(page, "problem") and text(page, "listen") == "Listen"
    page.evaluate("document.getElementById('listen').click()")
    wait(page, "status", "Listening|silence")
    assert text(page, "problem") == ""


def test_a_refused_microphone_and_an_unsafe_address_are_told(port):
    """Really refused, by the browser's own permission; and a page from elsewhere than https:// or localhost."""
    need_chromium()
    need_runtime()
    device = "--use-fake-device-for-media-stream"
    with Browser(flags=[device, f"--host-resolver-rules=MAP {STRANGE} 127.0.0.1"]) as browser:
        here = f"http://localhost:{port}"
        browser.send("Browser.setPermission", permission={"name": "microphone"}, setting="denied", origin=here)
        ready(browser, here + "/")
        browser.evaluate("document.getElementById('listen').focus()")
        for kind in ("keyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", type=kind, key=" ", code="Space", windowsVirtualKeyCode=32, text=" ")
        assert "blocked for this page" in wait(browser, "problem", ".")
        assert text(browser, "listen") == "Listen" and browser.complaints == []

        ready(browser, f"http://{STRANGE}:{port}/")
        browser.evaluate("document.getElementById('listen').click()")
        assert "https://" in (problem := wait(browser, "problem", ".")) and STRANGE in problem


def test_without_onnxruntime_web_the_page_says_how_to_bring_it(browser, port, folder):
    (folder / "bare").mkdir()
    site.write_site(folder / "bare", [OnnxModel.load(find("wake-words"))])
    browser.open(f"http://localhost:{port}/bare/")
    assert "kws web -o FOLDER --download" in wait(browser, "problem", ".")
    assert text(browser, "status") == "The page cannot hear."


# What is written there


class Reader(HTMLParser):
    """The attributes of every element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes.append(dict(attributes))


def test_the_page_names_no_other_server_and_forbids_itself_to_ask_one():
    sources = {path.name: path.read_text(encoding="utf-8") for path in WEB.iterdir()}
    for name, source in sources.items():
        code = re.sub(r"^\s*//.*$", "", source, flags=re.MULTILINE)  # comments cite
        assert re.findall(r"\b(?:https?|wss?)://[\w.]+", code) == [], name
    elements = Reader(sources["index.html"]).attributes
    policy = next(a["content"] for a in elements if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["connect-src"] == "'self'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'"
    ids = {a["id"] for a in elements if "id" in a}
    assert set(re.findall(r'\$\("([\w-]+)"\)', sources["page.js"])) <= ids


def luminance(colour: str) -> float:
    """Relative, of "#rrggbb" (WCAG 2.2)."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def test_words_can_be_read_in_light_and_in_dark():
    themes = re.findall(r":root \{(.*?)\}", (WEB / "style.css").read_text(encoding="utf-8"), re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", theme))
        pairs = [(ink, paper) for ink in ("ink", "soft", "accent") for paper in ("paper", "card")]
        pairs += [("on-accent", "accent"), ("ink", "faint"), *((f"c{n}", "card") for n in range(8))]
        for ink, paper in pairs:
            low, high = sorted((luminance(colours[ink]), luminance(colours[paper])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"--{ink} on --{paper}"


# kws web


def test_without_the_runtime_one_sentence_says_how_to_bring_it(tmp_path, capsys):
    assert cli.main(["web", "-o", str(tmp_path / "site")]) == 1
    assert "--download" in (said := capsys.readouterr().err) and len(said.splitlines()) == 1


class TestRuntime:
    @pytest.fixture
    def registry(self, monkeypatch) -> list[str]:
        """An npm that gives small files; returns what it was asked for."""
        asked = []
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w:gz") as tar:
            for member, _ in site.RUNTIME_FILES.values():
                info = tarfile.TarInfo(f"package/dist/{member}")
                info.size = len(member)
                tar.addfile(info, io.BytesIO(member.encode()))

        def run(command: list[str], what: str) -> None:
            asked.append(what)
            name, _, version = what.partition("@")
            (Path(command[-1]) / f"{name}-{version}.tgz").write_bytes(held.getvalue())

        monkeypatch.setattr(packages, "client", run)
        monkeypatch.setattr(packages.shutil, "which", lambda name: "/bin/npm")
        return asked

    def test_it_comes_once(self, registry, monkeypatch, tmp_path):
        digests = dict(site.RUNTIME_FILES.values())

        def trusting(path: Path) -> str:
            return site.RUNTIME_SHA256 if path.suffix == ".tgz" else digests[path.read_text()]

        monkeypatch.setattr(packages, "digest", trusting)
        for _ in range(2):
            site.bring_runtime(tmp_path / "vendor", download=True)
        assert registry == ["onnxruntime-web@1.30.0"]
        assert {path.name for path in (tmp_path / "vendor").iterdir()} == set(site.RUNTIME_FILES)

    def test_a_wrong_archive_is_removed(self, registry, tmp_path):
        with pytest.raises(KwsError, match="checksum"):
            site.bring_runtime(tmp_path, download=True)
        assert list(tmp_path.iterdir()) == []


def test_models_that_a_page_cannot_show_are_refused(tmp_path):
    with pytest.raises(KwsError, match="no keyword"):
        site.write_site(tmp_path, [OnnxModel.load(find("phones"))])
    with pytest.raises(KwsError, match="two of the models"):
        site.write_site(tmp_path, [OnnxModel.load(find("wake-words"))] * 2)
