"""`kws listen`: what a microphone gives is what `kws detect` hears in its recording, whatever happens to the device."""

import io
import json
import re
import shlex
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tones
from kws import audio
from kws.audio.pickup import AS_IT_IS
from kws.cli.listen import table
from kws.demo import microphone as microphones
from kws.demo.command import Command
from kws.demo.gauges import SILENT_DBFS, NearMisses, dbfs
from kws.demo.live import LiveBlock, LiveDetection, listen
from kws.demo.microphone import Block, Device, Microphone, find
from kws.demo.recorder import AFTER_S, BEFORE_S, Recorder
from kws.errors import KwsError
from kws.runtime.detector import Detector
from room import room_for, small_disk
from trees import ROOT
from vmic import Listening, virtual_microphone

RATES = [8_000, 11_025, 16_000, 44_100, 48_000]
HEAR = ROOT / "demo" / "hear.wav"


def played(*sounds: np.ndarray, rate: int = 16_000) -> SimpleNamespace:
    """A microphone that was opened once for each sound, in blocks of an odd size or as long as may be waited for."""

    def blocks(wait_s):
        for opening, sound in enumerate(sounds):
            while len(sound):
                size = max(999, round(wait_s() * rate))
                microphone.sizes.append(size)
                yield Block(sound[:size], rate, time.monotonic(), opening)
                sound = sound[size:]
            yield None

    microphone = SimpleNamespace(blocks=blocks, sizes=[])
    return microphone


def noisy(tune: str, rate: int = 16_000) -> np.ndarray:
    """A tune in a little noise, so that every sample is its own."""
    sound = tones.speak(tune, rate=rate)
    return (sound + np.random.default_rng(0).normal(0, 0.003, sound.size)).astype(np.float32)


def heard_live(detector, device, **options) -> list[LiveDetection]:
    events = []
    listen(detector, events.append, microphone=device, **options)
    return events


@pytest.mark.parametrize("rate", RATES)
def test_live_events_are_those_of_the_whole_sound(detector, rate):
    tune = noisy("  ABC  FED  EEB  ", rate)
    whole = detector.stream(rate)
    wanted = whole.push(tune) + whole.flush()
    events = heard_live(detector, played(tune, rate=rate))
    assert [(event.keyword, event.score, event.start, event.end) for event in events] == [
        (event.keyword, event.score, event.start, event.end) for event in wanted
    ]
    assert len(events) == 3 and all(event.recording is None for event in events)


def test_each_event_comes_once_more_with_its_peak_also_where_the_device_is_lost(detector):
    word, fired, peaks = noisy("  ABC  "), [], []
    listen(detector, fired.append, on_peak=peaks.append, microphone=played(word, noisy("  FED EEB     " + "  "), word))
    assert [replace(event, peak=None) for event in peaks] == fired and len(fired) == 4
    alone = []
    for sound in (word, noisy("  FED EEB     " + "  "), word):
        stream = detector.stream()
        stream.push(sound)
        alone += stream.peaks
        stream.flush()
        alone += stream.peaks
    assert [event.peak for event in peaks] == [event.peak for event in alone]


def test_who_waits_hears_the_same_and_hears_it_no_later():
    """The shipped model in small blocks, and in blocks as long as may be waited for, which end where an event comes."""
    shipped, sound = Detector.load(), audio.read(HEAR)[: 16_000 * 20]
    chunk = shipped.info.chunk_samples
    at_once, patient = played(sound), played(sound)
    wanted = heard_live(shipped, at_once, every_block=True)
    late = []
    events = []

    def fire(event):
        events.append(event)
        late.append(sum(patient.sizes) - -(-event.end // chunk) * chunk)

    listen(shipped, fire, microphone=patient)
    assert [(event.end, event.keyword) for event in events] == [(event.end, event.keyword) for event in wanted]
    assert [event.score for event in events] == pytest.approx([event.score for event in wanted], abs=1e-6)
    assert len(late) >= 3 and max(late) < 999
    assert set(at_once.sizes) == {999} and len(patient.sizes) < 0.7 * len(sound) / chunk, "it waits in speech, too"


def test_the_clock_goes_on_after_the_device_was_lost_and_no_word_reaches_over_it(detector):
    word, part, rest = (noisy(tune) for tune in ("  ABC  ", "   AB", "C   "))
    assert not heard_live(detector, played(part, rest))
    first, second = heard_live(detector, played(word, word))
    assert (second.start - first.start, second.end - first.end) == (word.size, word.size)


@pytest.mark.parametrize("rate", [11_025, 16_000, 48_000])
def test_each_event_is_kept_once_and_heard_again_where_the_line_says(detector, rate, tmp_path):
    pause = " " * round((BEFORE_S + AFTER_S + 3) / 0.16)  # a tone of tones.speak lasts 0.16 s
    tune = noisy("  ABC  FED" + pause + "ABC       EEB   ", rate)
    events = heard_live(detector, played(tune, tune[: 3 * rate], rate=rate), recorder=Recorder(tmp_path))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3 and [event.keyword for event in events] == ["abc", "fed", "abc", "eel", "abc", "fed"]
    again = []
    for path in files:
        sound = audio.read(path)
        stream = detector.stream()
        again += [(path, event.keyword, event.end_s) for event in stream.push(sound) + stream.flush()]
    assert again == sorted((event.recording, event.keyword, event.recording_end_s) for event in events)


def test_a_recording_is_what_was_heard_bit_for_bit_and_begins_before_the_event(detector, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    rate = 44_100
    tune = noisy(" " * 100 + "ABC" + " " * 100, rate)
    (event,) = heard_live(detector, played(tune, rate=rate), recorder=Recorder(tmp_path))
    kept, kept_rate = soundfile.read(event.recording, dtype="float32")
    first = round((event.end_s - event.recording_end_s) * rate)
    assert kept_rate == rate and 100 * 0.16 - BEFORE_S - 2 < first / rate < event.end_s - BEFORE_S + 0.1
    np.testing.assert_array_equal(kept, tune[first : first + kept.size])
    assert event.end_s + AFTER_S - 0.1 < (first + kept.size) / rate < event.end_s + AFTER_S + 0.2


def test_nothing_is_written_without_an_event_and_memory_is_bounded(detector, tmp_path):
    recorder = Recorder(tmp_path)
    assert not heard_live(detector, played(noisy(" " * 400)), recorder=recorder)
    assert not list(tmp_path.iterdir())
    assert sum(map(len, recorder._ring)) < (BEFORE_S + 1) * 16_000


def test_a_folder_that_cannot_be_written_is_said_once_and_listening_goes_on(detector, tmp_path):
    told = []
    recorder = Recorder(tmp_path / "gone", told.append)
    recorder.folder.rmdir()
    events = heard_live(detector, played(noisy("  ABC  FED  EEB  ")), recorder=recorder)
    assert len(events) == 3 and len(told) == 1 and "nothing more is recorded" in told[0]


@pytest.mark.parametrize("size", [4_096, 106_496])
def test_a_full_disk_is_said_with_its_reason_and_no_empty_file_is_left(detector, size, tmp_path):
    told, folder = [], tmp_path / "disk"
    with small_disk(folder, size):
        (folder / "ballast").write_bytes(bytes(4_096))
        with room_for(size - 4_096):
            events = heard_live(detector, played(noisy("  ABC  FED  EEB  ")), recorder=Recorder(folder, told.append))
        assert len(events) == 3 and len(told) == 1
        assert re.search(r"\.wav cannot be written \((No space left on device|File too large)\)", told[0])
        assert [audio.read(path).size > 20_000 for path in folder.glob("*.wav")] == [True] * (size > 4_096)


class FakeSound:
    """A module `sounddevice` whose one device gives a sound (n, C) at each opening, or refuses with an error."""

    class PortAudioError(Exception):
        """As in the true one."""

    def __init__(self, *openings, rate=16_000, channels=1, overflows=()):
        self.openings = list(openings)
        self.device = {"index": 0, "name": "Fake", "max_input_channels": channels, "default_samplerate": float(rate)}
        self.overflows = overflows
        self.opened = []
        self.restarts = 0
        self.running = True

    def query_devices(self, kind=None):
        return self.device if kind else [self.device]

    def _terminate(self):
        if not self.running:
            raise self.PortAudioError("PortAudio not initialized")
        self.running = False

    def _initialize(self):
        self.restarts += 1
        if self.restarts == 2:  # as when the sound server is only just starting
            raise self.PortAudioError("Host error")
        self.running = True

    def InputStream(self, **words):
        opening = self.openings.pop(0) if self.openings else self.PortAudioError("no such device")
        if isinstance(opening, Exception):
            raise opening
        self.opened.append(words)
        return FakeStream(opening, words["blocksize"], self.overflows)


class FakeStream:
    """An open device that has a block ready whenever it is asked, until its sound is over."""

    latency = 0.5

    def __init__(self, sound, size, overflows):
        self.blocks = iter([sound[begin : begin + size] for begin in range(0, len(sound), size)])
        self.overflows = iter([number in overflows for number in range(len(sound))])
        self.ready = np.empty((0, 1))

    active = property(lambda self: len(self.ready) > 0)

    def start(self):
        self.ready = next(self.blocks)

    def close(self, ignore_errors):
        self.ready = np.empty((0, 1))

    @property
    def read_available(self):
        return len(self.ready)

    def read(self, frames):
        sound, self.ready = self.ready[:frames], next(self.blocks, np.empty((0, 1)))
        return sound, next(self.overflows)


def through_fake(monkeypatch, detector, fake, **options):
    """Events, and the lines that were told, until the fake has no more openings."""
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(microphones, "_PAUSES_S", (0.02, 0.05))
    told, events, stop = [], [], threading.Event()
    device = Microphone(tell=told.append, **options)
    listen(
        detector,
        events.append,
        microphone=device,
        watch=lambda heard: stop.set() if heard is None and not fake.openings else None,
        stop=stop,
    )
    return events, told, device


def channels(tune: np.ndarray, count: int, channel: int | None) -> np.ndarray:
    """The tune (n,) in one channel (from 1) of sound (n, count) and noise in the others; None: in all of them."""
    if channel is None:
        return np.repeat(tune[:, None], count, axis=1)
    sound = np.random.default_rng(1).normal(0, 0.3, (tune.size, count)).astype(np.float32)
    sound[:, channel - 1] = tune
    return sound


@pytest.mark.parametrize(
    ("count", "channel"), [(1, None), (2, None), (2, 2), (3, None), (7, 5), (8, None), (128, None)]
)
def test_any_number_of_channels(monkeypatch, detector, count, channel):
    opened = 1 if count > 8 else count
    fake = FakeSound(channels(tones.speak("  ABC   "), opened, channel), channels=count)
    events, _, _ = through_fake(monkeypatch, detector, fake, channel=channel)
    assert [event.keyword for event in events] == ["abc"]
    assert [(words["channels"], words["samplerate"]) for words in fake.opened] == [(opened, 16_000)]


def test_channels_that_cancel_each_other_are_heard(monkeypatch, detector):
    tune = noisy("  ABC   ")
    fake = FakeSound(np.stack([tune, -tune], axis=1), channels=2)
    events, _, _ = through_fake(monkeypatch, detector, fake)
    assert [event.keyword for event in events] == ["abc"]


def test_a_gain_is_in_what_is_heard_and_in_what_is_kept(monkeypatch, detector, tmp_path):
    """Not only in the events: `kws detect` hears the same in the recording."""
    tune = (noisy("  ABC   ") / 1000)[:, None]
    recorder = Recorder(tmp_path)
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSound(tune))
    (event,) = heard_live(detector, SimpleNamespace(blocks=once(Microphone(gain_db=54.0))), recorder=recorder)
    kept = audio.read(event.recording)
    np.testing.assert_array_equal(kept, (tune[:, 0] * np.float32(10 ** (54 / 20)))[: kept.size])


def once(microphone):
    """The blocks of a microphone until it gives no more."""

    def blocks(wait_s):
        for block in microphone.blocks(wait_s):
            if block is None:
                return
            yield block

    return blocks


QUIET = np.random.default_rng(3).uniform(-1, 1, 11 * 16_000).astype(np.float32)[:, None] * 10 ** (-70 / 20)


@pytest.mark.parametrize(
    ("sound", "gain_db", "says"),
    [
        (QUIET, 0.0, "Fake, 10 s: the loudest sample is at -70 dBFS: most words so quiet are missed; try --gain 40"),
        (QUIET * 0, 0.0, "Fake, 10 s: every sample is zero, digital silence"),
        (QUIET, 40.0, None),
        (QUIET[: 9 * 16_000], 0.0, None),
        (np.concatenate([QUIET[:16_000], QUIET[:16_000] * 300, QUIET]), 0.0, None),
    ],
    ids=["quiet", "muted", "with a gain", "too short to say", "loud at first"],
)
def test_ten_seconds_of_very_quiet_sound_are_said_once(monkeypatch, detector, sound, gain_db, says):
    _, told, _ = through_fake(monkeypatch, detector, FakeSound(sound.astype(np.float32)), gain_db=gain_db)
    about = [line for line in told if "sample" in line]
    assert len(about) == (says is not None) and all(line.startswith(says) for line in about)


@pytest.mark.parametrize("follows_level", [False, True])
def test_a_model_that_does_not_follow_the_level_is_said_to_miss_more(monkeypatch, detector, follows_level):
    sound = FakeSound((10 * QUIET).astype(np.float32))
    _, told, _ = through_fake(monkeypatch, detector, sound, follows_level=follows_level)
    assert any("-50 dBFS: most words so quiet are missed" in line for line in told) != follows_level


def test_a_device_that_refuses_its_own_channels_is_opened_with_one(monkeypatch, detector):
    sound = tones.speak("  ABC   ")[:, None]
    fake = FakeSound(FakeSound.PortAudioError("Invalid number of channels"), sound, channels=2)
    events, _, _ = through_fake(monkeypatch, detector, fake)
    assert len(events) == 1 and fake.opened[0]["channels"] == 1


@pytest.mark.parametrize("channel", [0, 3, -1])
def test_a_channel_that_is_not_there(monkeypatch, channel):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSound(channels=2))
    with pytest.raises(KwsError, match=f"Fake has 2 channels, and no channel {channel}"):
        Microphone(channel=channel)


def test_overflows_are_counted_and_said_and_do_not_stop_it(monkeypatch, detector):
    fake = FakeSound(tones.speak("  ABC   ")[:, None], overflows=(0, 1, 7))
    events, told, device = through_fake(monkeypatch, detector, fake)
    assert len(events) == 1 and device.overflows == 3
    assert sum("some sound was lost" in line for line in told) == 1


@pytest.mark.parametrize(("kept_s", "waited_s"), [(2.0, 0.24), (0.3, 0.15), (0.1, 0.08)])
def test_no_device_is_waited_for_longer_than_half_of_what_it_keeps(monkeypatch, kept_s, waited_s):
    slept: list[float] = []

    class Device16k(FakeStream):
        latency = kept_s
        read_available = property(lambda self: round(16_000 * sum(slept)))

        def start(self):
            pass

        def read(self, frames):
            return np.zeros((frames, 1), np.float32), False

    monkeypatch.setattr(microphones, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append))
    fake = FakeSound()
    fake.InputStream = lambda **words: Device16k(np.empty((0, 1)), words["blocksize"], ())
    source = microphones._OpenDevice(fake, Device(0, "Fake", 1, 16_000, True), 1, AS_IT_IS)
    assert source.take(0, 0.24).samples.size == round(waited_s * 16_000) and len(slept) == 1


def test_an_unplugged_device_is_said_and_opened_again(monkeypatch, detector):
    word = tones.speak("  ABC   ")[:, None]
    gone = FakeSound.PortAudioError("Device unavailable")
    fake = FakeSound(word, gone, gone, word)
    events, told, _ = through_fake(monkeypatch, detector, fake)
    assert [event.keyword for event in events] == ["abc", "abc"] and events[1].start > word.size
    assert fake.restarts >= 4  # the list of devices is read anew before each attempt
    assert "Fake gives no sound any more" in told[0] and "s of sound were lost" in told[1]


def test_a_device_that_comes_back_without_the_channel_is_waited_for(monkeypatch, detector):
    word = channels(tones.speak("  ABC   "), 2, 2)
    fake = FakeSound(word, word, channels=2)
    ports = iter([1, 1, 2])
    fake._initialize = lambda: fake.device.update(max_input_channels=next(ports, 2))
    fake._terminate = lambda: None
    events, _, _ = through_fake(monkeypatch, detector, fake, channel=2)
    assert len(events) == 2 and next(ports, None) is None


def test_another_device_may_come_back_with_another_rate(monkeypatch, detector):
    fake = FakeSound(tones.speak("  ABC   ")[:, None], tones.speak("  FED   ", rate=48_000)[:, None])
    fake._initialize = lambda: fake.device.update(default_samplerate=48_000.0)
    fake._terminate = lambda: None
    events, _, _ = through_fake(monkeypatch, detector, fake)
    assert [event.keyword for event in events] == ["abc", "fed"]
    assert [words["samplerate"] for words in fake.opened] == [16_000, 48_000]


def test_a_device_that_cannot_be_opened_at_first_is_one_sentence(monkeypatch, detector):
    with pytest.raises(KwsError, match=r"Fake cannot be opened \(busy\): see kws listen --list-devices"):
        through_fake(monkeypatch, detector, FakeSound(FakeSound.PortAudioError("busy")))


DEVICES = [
    Device(0, "Built-in", 2, 48_000, True),
    Device(3, "USB Audio 1", 1, 44_100, False),
    Device(11, "USB Audio 11", 8, 16_000, False),
]


@pytest.mark.parametrize(("wanted", "number"), [(None, 0), ("3", 3), ("built", 0), ("USB Audio 1", 3), ("11", 11)])
def test_a_device_by_number_name_or_part_of_it(wanted, number):
    assert find(wanted, DEVICES).number == number


@pytest.mark.parametrize(
    ("wanted", "words"), [("usb", r"3 \(USB Audio 1\), 11 \(.*\): give"), ("x", "no microphone 'x'")]
)
def test_a_device_that_is_not_one(wanted, words):
    with pytest.raises(KwsError, match=words):
        find(wanted, DEVICES)


def test_no_device_at_all():
    with pytest.raises(KwsError, match="there is no microphone"):
        find(None, [])
    assert table([]) == "no microphone was found"


def test_the_list_of_devices_has_columns_and_marks_the_default():
    head, *rows = table(DEVICES).splitlines()
    assert head.split() == ["number", "name", "channels", "rate"]
    assert [row.startswith(">") and row.endswith("(default)") for row in rows] == [True, False, False]
    assert rows[2].split() == ["11", "USB", "Audio", "11", "8", "16000", "Hz"]
    assert len({row.index(" Hz") - len(str(device.rate)) for row, device in zip(rows, DEVICES, strict=True)}) == 1


WRITE = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + sys.argv[2])"
EVENT = LiveDetection("abc", 0.91234, 16_000, 32_000, datetime(2026, 1, 2).astimezone(), 0.0816)


def finish(command: Command) -> None:
    for process in command._running:
        process.wait(10)
    command.check()


def test_a_command_gets_the_event_and_no_shell_sees_its_words(tmp_path):
    file = tmp_path / "it's $HOME; x"
    words = shlex.join([sys.executable, "-c", WRITE, str(file), "$(id) | & > *"])
    told = []
    command = Command(words, subprocess.DEVNULL, told.append)
    command.start(json.dumps(EVENT.as_values()))
    finish(command)
    line, words = file.read_text().split("\n")
    assert words == "$(id) | & > *" and not told
    assert json.loads(line) == {
        "keyword": "abc",
        "score": 0.9123,
        "start_s": 1.0,
        "end_s": 2.0,
        "time": EVENT.time.isoformat(),
        "latency_s": 0.082,
    }


def test_a_failing_command_is_said_once():
    told = []
    command = Command(shlex.join([sys.executable, "-c", "raise SystemExit(3)"]), subprocess.DEVNULL, told.append)
    for _ in range(2):
        command.start("x")
        finish(command)
    assert len(told) == 1 and "exit code 3" in told[0]


def test_a_command_that_hangs_blocks_nothing_and_does_not_pile_up():
    told = []
    command = Command("sleep 60", subprocess.DEVNULL, told.append)
    begin = time.monotonic()
    for _ in range(10):
        command.start("x" * 1000)
    assert time.monotonic() - begin < 5
    assert len(command._running) == 8 and len(told) == 1 and "still runs" in told[0]
    for process in command._running:
        process.kill()
        process.wait()


@pytest.mark.parametrize("line", ["no-such-command-here x", "", "'"])
def test_a_command_that_does_not_exist_is_refused_at_once(line):
    with pytest.raises(KwsError, match="--exec"):
        Command(line, subprocess.DEVNULL, print)


def result(scores, detections=()):
    """What NearMisses looks at; scores of `abc` alone, whose threshold is 0.5."""
    return SimpleNamespace(scores=np.array([[score, 0, 0] for score in scores]), detections=list(detections))


def test_a_near_miss_is_one_attempt_above_half_the_threshold_that_did_not_fire(detector):
    rest = [0.0] * 12
    assert NearMisses(detector).hear(result([0.1, 0.24, 0.1, *rest])) == []
    assert NearMisses(detector).hear(result([0.3, 0.1, 0.45, 0.0, 0.3, *rest, *rest])) == [("abc", 0.45)]
    event = SimpleNamespace(keyword="abc")
    watched = NearMisses(detector)
    assert watched.hear(result([0.3, 0.6, 0.4, *rest], [event])) == []
    assert watched.hear(result([0.4, *rest])) == [("abc", 0.4)]  # the next attempt is one of its own
    pieces = NearMisses(detector)
    assert [pieces.hear(result([score])) for score in [0.3, 0.4, *rest]][-1] == [("abc", 0.4)]


def test_scores_of_a_softened_model_must_come_closer_to_be_near_misses():
    keywords = [SimpleNamespace(name="abc", threshold=0.24)]
    softened = SimpleNamespace(keywords=keywords, info=SimpleNamespace(temperature=3.0))
    rest = [0.1] * 12
    assert (
        NearMisses(softened).hear(SimpleNamespace(scores=np.array([[s] for s in [0.15, *rest]]), detections=[])) == []
    )
    near = SimpleNamespace(scores=np.array([[s] for s in [0.2, *rest]]), detections=[])
    assert NearMisses(softened).hear(near) == [("abc", 0.2)]


def test_decibels():
    assert dbfs(1.0) == 0 and dbfs(0.1) == pytest.approx(-20) and dbfs(0.0) == SILENT_DBFS


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_screen_shows_what_is_heard(detector, width):
    console = pytest.importorskip("rich.console").Console(width=width, height=30, record=True, file=io.StringIO())
    from kws.demo.screen import Screen

    screen = Screen(detector, lambda: "Fake at 16000 Hz", lambda: 2, console=console)
    listen(
        detector,
        screen.fire,
        on_peak=screen.settle,
        microphone=played(noisy("  ABC   ")),
        watch=screen.gauges.hear,
    )
    screen.tell("a line\x1b[2J")
    console.print(screen.draw())  # the last thing heard is that no sound comes
    text = console.export_text()
    assert "Fake at 16000 Hz" in text and "no sound comes" in text and r"a line\x1b[2J" in text
    silence = detector.stream().process(np.zeros(0, np.int16))
    screen.gauges.hear(LiveBlock(Block(np.full(640, 0.5, np.float32), 16_000, 0.0, 0), silence))
    console.print(screen.draw())
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    if width >= 80:
        assert "-6.0 dBFS" in text and "2 overflows" in text and "1 events" in text and "nothing is kept" in text
        assert re.search(r"● +abc +[01]\.\d\d +peak [01]\.\d\d · latency -?\d+ ms", text)


# From here on the real thing: processes, PortAudio, a virtual microphone.


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Path:
    """Two words of the demo's recording, in three seconds."""
    soundfile = pytest.importorskip("soundfile")
    sound, rate = soundfile.read(HEAR, dtype="int16")
    parts = [sound[int(a * rate) : int(b * rate)] for a, b in ((0.0, 1.3), (27.4, 29.2))]
    path = tmp_path_factory.mktemp("words") / "words.wav"
    soundfile.write(path, np.concatenate(parts), rate)
    return path


ADDED = "wake-words", "--keyword", "lexa=L EH K S AH", "--threshold", "lexa=0.3"


def detected(*files: Path) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-m", "kws", "detect", "--json", *ADDED, *map(str, files)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def live(words, tmp_path_factory):
    """The two words through microphones of three rates, all at once: greeting, stdout and stderr of each.

    And what `kws detect` hears in the file of the words, and in every recording.
    """

    def hear(rate: int) -> tuple[str, str, str]:
        folder = tmp_path_factory.mktemp(str(rate))
        options = "--json", *ADDED, "--record", str(folder / "kept"), "--exec", "cat"
        with virtual_microphone(folder, rate) as device, Listening(device, *options) as listening:
            device.play(words)
            time.sleep(0.5)
            return listening.greeting, *listening.stop()

    rates = [16_000, 44_100, 48_000]
    with ThreadPoolExecutor() as pool:
        found = dict(zip(rates, pool.map(hear, rates), strict=True))
    kept = [json.loads(line)["recording"] for _, out, _ in found.values() for line in out.splitlines()[:1]]
    return found, detected(words, *map(Path, kept))


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_real_audio_path_gives_the_events_of_the_file_and_of_its_recording(rate, live, words):
    found, replayed = live
    greeting, out, err = found[rate]
    wanted = [event for event in replayed if event["file"] == str(words)]
    lines = [json.loads(line) for line in out.splitlines()]
    events, peaks = ([line for line in lines if name in line] for name in ("keyword", "peak_of"))
    assert [(p["peak_of"], p["end_s"]) for p in peaks] == [(e["keyword"], e["end_s"]) for e in events]
    assert [p["peak"] for p in peaks] == pytest.approx([event["peak"] for event in wanted], abs=0.1)
    assert f"at {rate} Hz" in greeting
    assert [event["keyword"] for event in events] == [event["keyword"] for event in wanted]
    assert {event["keyword"] for event in events} == {"alexa", "snowboy", "lexa"}
    since = [[event["end_s"] - found[0]["end_s"] for event in found] for found in (events, wanted)]
    assert since[0] == pytest.approx(since[1], abs=0.081)  # two frames
    assert all(0 <= event["latency_s"] < 1 for event in events)
    # what each `cat` was given, whichever was first to say it, and no word of PortAudio or ALSA
    assert sorted(map(json.loads, err.splitlines()), key=str) == sorted(events, key=str)
    again = [event for event in replayed if event["file"] == events[0]["recording"]]
    fields = "recording", "keyword", "recording_end_s"
    assert [(event["file"], event["keyword"], event["end_s"]) for event in again] == [
        tuple(event[field] for field in fields) for event in events
    ]
    assert [event["score"] for event in again] == pytest.approx([event["score"] for event in events], abs=2e-4)


def test_a_real_device_is_unplugged_and_comes_back(words, tmp_path):
    with virtual_microphone(tmp_path, 16_000) as device, Listening(device) as listening:
        device.unplug()
        lost = listening.process.stderr.readline()
        device.plug()
        back = listening.process.stderr.readline()
        device.play(words)
        time.sleep(0.5)
        out, err = listening.stop()
    assert "gives no sound any more" in lost and "s of sound were lost" in back and err == ""
    lines = out.splitlines()
    assert [line.split()[1] for line in lines if "(score " in line] == ["alexa", "snowboy"]
    assert [line.split()[1] for line in lines if "(peak " in line] == ["alexa", "snowboy"]


def test_the_devices_of_a_real_server_are_listed(tmp_path):
    with virtual_microphone(tmp_path, 16_000) as device:
        listed = [sys.executable, "-m", "kws", "listen", "--list-devices"]
        done = subprocess.run(listed, env=device.environment, capture_output=True, text=True, check=True)
    assert "> " in done.stdout and "default" in done.stdout and done.stderr == ""


def test_listen_without_portaudio_or_device_is_one_sentence():
    words = [sys.executable, "-m", "kws", "listen", "--device", "no such microphone"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("kws: ") and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
