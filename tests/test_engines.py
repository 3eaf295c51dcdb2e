"""Adapters of other engines, on made packages that behave like the real ones where it matters."""

import importlib
import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tones
from corpora import write_wav
from kws.errors import KwsError
from kws.evaluate import systems
from kws.evaluate.engines import REQUIREMENTS, asked_for, package
from kws.evaluate.systems import ENGINES, EngineSystem, SystemSpec, open_system
from kws.trigger import Trigger
from trees import ROOT

# Loudness stands for likeness: each of these hears every word in a loud chunk, and nothing in silence.
PACKAGES = {
    "pymicro_wakeword": """
from enum import Enum
import numpy as np
class Model(str, Enum):
    ALEXA = "alexa"
    HEY_JARVIS = "hey_jarvis"
class MicroWakeWord:
    def __init__(self, file, cutoff):
        self.tflite_model, self.probability_cutoff, self.resets = file, cutoff, 0
    @classmethod
    def from_builtin(cls, model): return cls(__file__, {"alexa": 0.9, "hey_jarvis": 0.97}[model.value])
    @classmethod
    def from_config(cls, path): return cls(path, 0.5)
    def process_streaming_prob(self, features): return features
    def reset(self): self.resets += 1
class MicroWakeWordFeatures:
    def process_streaming(self, pcm):
        yield 0.0
        yield round(np.abs(np.frombuffer(pcm, np.int16)).max() / 32767, 3)
        yield 0.0
    def reset(self): pass
""",
    "pyopen_wakeword": "",
    "openwakeword": """
import numpy as np
from pathlib import Path
class Model:
    def __init__(self, wakeword_models, melspec_model_path, embedding_model_path):
        assert "melspec" in melspec_model_path and "embedding" in embedding_model_path
        self.names, self.rng = [Path(path).stem for path in wakeword_models], np.random.default_rng(id(self))
        self.reset()
    def reset(self): self.history = list(self.rng.random(26))  # random noise, as far back as it looks
    def predict(self, pcm):
        for chunk in pcm.reshape(-1, 1280):
            self.history = [*self.history[1:], np.abs(chunk).max() / 32768]
        return {name: np.float32(max(self.history)) for name in self.names}
""",
    "pvporcupine": """
import os
MODEL_PATH = __file__
KEYWORD_PATHS = {"alexa": __file__, "view glass": __file__}
LIVING = []
class Porcupine:
    frame_length = 512
    def __init__(self, sensitivities): self.sensitivities = sensitivities; LIVING.append(self)
    def process(self, pcm):
        assert isinstance(pcm, list) and len(pcm) == 512
        loud = max(map(abs, pcm)) / 32768
        return next((i for i, s in enumerate(self.sensitivities) if loud > 1 - s), -1)
    def delete(self): LIVING.remove(self)
def create(keyword_paths, sensitivities):
    assert len(keyword_paths) == len(sensitivities)
    for path in keyword_paths: os.open(path, os.O_RDONLY)  # as the real one, it never closes them
    return Porcupine(sensitivities)
""",
    "pocketsphinx": """
import math
import numpy as np
from pathlib import Path
from types import SimpleNamespace
class LogMath:
    def log(self, p): return round(math.log(p) / math.log(1.0001))
    def log_to_log10(self, p): return p * math.log10(1.0001)
class Decoder:
    logmath = LogMath()
    def __init__(self, kws, loglevel):
        self.phrases = [line.partition("/")[0] for line in Path(kws).read_text().splitlines()]
        self.log, self.found, self.frame, self.mean = [], [], 0, "40"
    def get_cmn(self, update): return self.mean
    def set_cmn(self, mean): self.mean = mean
    def lookup_word(self, word): return None if word == "snowboy" else "AH"
    def start_utt(self): self.found, self.frame = [], 0
    def end_utt(self): self.mean = "changed"
    def process_raw(self, pcm):
        self.frame += 8
        loud = np.abs(np.frombuffer(pcm, np.int16)).max() / 32768
        if loud:  # of the ratio's logarithm it keeps no more than this
            kept = math.floor(math.log(10 ** (-60 + 70 * loud)) / math.log(1.0001)) >> 10
            self.found.append((self.frame, 1.0001 ** (kept - 1500)))
    def seg(self):
        found = [SimpleNamespace(word=phrase, start_frame=frame - 50, end_frame=frame, prob=prob)
            for frame, prob in self.found for phrase in self.phrases]
        return found or None
def get_model_path(name): return str(Path(__file__).parent)
""",
}
SIZES = {"alexa": 1000, "hey_jarvis": 20, "melspectrogram": 300, "embedding_model": 4}  # of openWakeWord's files


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Path:
    """The made packages, where Python finds them."""
    for name, source in PACKAGES.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
    models = tmp_path / "pyopen_wakeword" / "models"
    models.mkdir()
    for name, size in SIZES.items():
        (models / f"{name}.tflite").write_bytes(bytes(size))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in PACKAGES:
        sys.modules.pop(name, None)


@pytest.fixture(autouse=True)
def nothing_is_open():
    systems._open.cache_clear()


def opened(model: object, *keywords: str) -> EngineSystem:
    return open_system(SystemSpec(str(model), keywords))


def sound(*loudness: float, chunk: int) -> np.ndarray:
    """One chunk of each loudness."""
    return np.repeat(np.array(loudness, np.float32), chunk)


def scores(system: EngineSystem, samples: np.ndarray) -> np.ndarray:
    return system.stream().process(samples, last=True).scores


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_hears_what_is_loud_and_not_silence(installed, engine):
    system = opened(engine, "alexa")
    assert system.keywords == ("alexa",) and 0 < system.thresholds[0] < 1
    assert system.about()["version"] in REQUIREMENTS[engine] and system.about()["bytes"] > 0
    assert scores(system, sound(0, 0, 0, chunk=system.chunk_samples)).max() == 0
    assert scores(system, sound(0, 0.99, 0, chunk=system.chunk_samples)).max() >= system.thresholds[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fresh_stream_knows_nothing_of_the_last_one(installed, engine):
    system = opened(engine, "alexa")
    quiet = sound(0, 0.3, 0.2, chunk=system.chunk_samples)
    first = scores(system, quiet)
    scores(system, sound(0, 1, 1, chunk=system.chunk_samples))
    assert np.array_equal(scores(system, quiet), first)


def test_porcupine_scores_by_the_strictest_sensitivity_that_fires(installed):
    system = opened("porcupine", "alexa", "view glass")
    for loud in (0.05, 0.25, 0.55, 0.95):
        strictest = min(s / 10 for s in range(11) if loud > 1 - s / 10)
        assert scores(system, sound(loud, chunk=512)).tolist() == [[1 - strictest / 2, 0]]  # one keyword at a time
    assert system.thresholds == (0.75, 0.75)  # sensitivity 0.5
    assert len(sys.modules["pvporcupine"].LIVING) == 11


def test_porcupine_can_be_run_at_one_sensitivity(installed):
    system = opened("kws.evaluate.engines.porcupine:OneSensitivity", "alexa")
    scores(system, sound(1, chunk=512))
    assert len(sys.modules["pvporcupine"].LIVING) == 1


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="what is open is only known on Linux")
def test_porcupine_leaves_no_file_open(installed):
    system = opened("porcupine", "alexa", "view glass")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        system.stream()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("threshold", [1e-45, 1e-30, 1e-20, 1e-5, 1.0, 1e3])
def test_pocketsphinx_scores_a_result_as_the_threshold_that_it_just_reaches(installed, threshold):
    """The real decoder compares, and gives out, logarithms to the base 1.0001 without their last ten bits."""
    system = opened("pocketsphinx", "computer")
    loud = (math.log10(threshold) + 60) / 70
    unit = 2**10 * math.log10(1.0001)
    expected = [1 / (1 + 10 ** (-(math.log10(threshold) + wrong) / 25)) for wrong in (-1.5 * unit, 0.1 * unit)]
    found = scores(system, sound(loud, chunk=1280)).max()
    assert expected[0] <= found <= expected[1]


def test_pocketsphinx_gives_each_result_once_and_ends_long_utterances(installed):
    system = opened("pocketsphinx", "alexa", "wake up=good morning")
    assert system.keywords == ("alexa", "wake up")
    listening = system.stream()
    loud = sound(*[0.9] * 500, chunk=1280)
    assert (listening.process(loud).scores > 0).all()
    assert (listening.process(np.zeros(12800, np.float32)).scores == 0).all()
    assert len(system.engine._decoder.found) < 500


def test_microwakeword_fires_above_its_cutoff_not_on_it(installed):
    system = opened("microwakeword", "alexa")
    assert (scores(system, sound(0.9, 0.91, chunk=480)) >= system.thresholds).tolist() == [[False], [True]]


def test_openwakeword_takes_its_models_from_the_wheel(installed):
    system = opened("openwakeword")
    assert system.keywords == ("alexa", "hey jarvis") and system.about()["bytes"] == sum(SIZES.values())
    (installed / "mine.tflite").write_bytes(bytes(7))
    assert opened("openwakeword", f"jarvis={installed / 'mine.tflite'}").about()["bytes"] == 300 + 4 + 7


@given(
    st.dictionaries(st.text("abc ", min_size=1).map(str.strip).filter(bool), st.sampled_from(["a_b", "c"]), min_size=1)
)
def test_a_model_is_found_under_any_name(names):
    asked = [f"{name}={model.replace('_', ' ')}" for name, model in names.items()]
    assert asked_for(asked, {"a_b", "c"}, "x") == names


def test_what_an_engine_does_not_ship_is_said():
    shipped = ["hey_jarvis", "alexa"]
    assert asked_for([], shipped, "x") == {"alexa": "alexa", "hey jarvis": "hey_jarvis"}
    assert asked_for(["hey jarvis", "jarvis=hey_jarvis"], shipped, "x") == {
        "hey jarvis": "hey_jarvis",
        "jarvis": "hey_jarvis",
    }
    with pytest.raises(KwsError, match="x has no model 'alexi': the nearest is 'alexa'"):
        asked_for(["alexi"], shipped, "x")
    with pytest.raises(KwsError, match="it ships alexa, hey jarvis"):
        asked_for(["jarvis=no/such.onnx"], shipped, "x")


def test_pocketsphinx_says_what_it_cannot_spot(installed):
    with pytest.raises(KwsError, match="'snowboy' is not in pocketsphinx's dictionary"):
        opened("pocketsphinx", "snowboy")
    with pytest.raises(KwsError, match="--keyword"):
        opened("pocketsphinx")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_package_is_named_with_the_command_that_brings_it(engine, monkeypatch):
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(KwsError, match=r"environment of its own, pip install '.+==.+'kws\[score\]'") as caught:
        opened(engine, "alexa")
    assert REQUIREMENTS[engine][0] in str(caught.value)


def test_a_package_that_cannot_be_loaded_is_named_too(tmp_path, monkeypatch):
    (tmp_path / "broken_engine.py").write_text("raise OSError('libx.so: wrong ELF class')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KwsError, match="wrong ELF class"):
        package("broken_engine", "porcupine")


ADAPTER = """
from __future__ import annotations
from dataclasses import dataclass, field
import numpy as np

@dataclass
class Loud:
    asked: list[str] = field(default_factory=list)
    version = "1"
    size_bytes = 0
    chunk_samples = 160
    def __post_init__(self):
        self.keywords, self.thresholds = self.asked or ["abc"], [0.25] * max(1, len(self.asked))
    def process(self, chunk):
        return [float(np.abs(chunk).max() / 32768)] * len(self.keywords)
    def reset(self): pass

class Fires(Loud):
    def process(self, chunk): return bool(np.abs(chunk).max() > 8000)
class Short(Loud):
    def process(self, chunk): return [0.5]
class Wild(Loud):
    def process(self, chunk): return [float("nan"), 2.0]
class Raises(Loud):
    def process(self, chunk): raise RuntimeError("no licence")
class Stuck(Loud):
    def reset(self): raise ValueError
class Refuses(Loud):
    def __post_init__(self): raise OSError("no model file")
class Empty:
    def __init__(self, keywords): pass
class Uneven(Loud):
    def __post_init__(self): self.keywords, self.thresholds = ["a", "b"], [0.5]
"""


@pytest.fixture
def adapter(tmp_path) -> Path:
    (tmp_path / "adapter.py").write_text(ADAPTER)
    return tmp_path / "adapter.py"


def test_an_adapter_of_the_users(adapter):
    assert scores(opened(f"{adapter}:Loud", "x", "y"), sound(0, 0.5, chunk=160)).tolist() == [[0, 0], [0.5, 0.5]]
    assert scores(opened(f"{adapter}:Fires"), sound(0, 0.5, chunk=160)).tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Short", r"gave \[0.5\] for a chunk, not 2 scores in \[0, 1\]"),
        ("Wild", r"gave \[nan, 2.0\] for a chunk, not 2 scores"),
        ("Raises", r"failed in process \(RuntimeError: no licence, .*adapter.py line \d+\)"),
        ("Stuck", r"failed in reset \(ValueError, .*adapter.py"),
        ("Refuses", r"failed in its constructor \(OSError: no model file"),
        ("Empty", "lacks keywords, thresholds, version, size_bytes, chunk_samples, process, reset"),
        ("Uneven", "has 2 keywords and 1 thresholds"),
        ("None_", "has no class None_"),
    ],
)
def test_an_adapter_that_misbehaves_is_blamed_in_one_sentence(adapter, name, sentence):
    with pytest.raises(KwsError, match=sentence) as caught:
        scores(opened(f"{adapter}:{name}", "x", "y"), sound(0, chunk=160))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("{folder}/none.py:X", "there is no adapter at .*none.py"),
        ("{folder}/bad.py", "name the class as well, .*bad.py:CLASS"),
        ("no_such_module:X", "failed in its import .*no_such_module"),
        ("{folder}/bad.py:X", "failed in its import .SyntaxError"),
    ],
)
def test_an_adapter_that_cannot_be_loaded_is_named(tmp_path, place, sentence):
    (tmp_path / "bad.py").write_text("class X(")
    with pytest.raises(KwsError, match=sentence):
        opened(place.format(folder=tmp_path))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 700), max_size=8))
def test_blocks_change_nothing(tmp_path_factory, cuts):
    file = tmp_path_factory.getbasetemp() / "loud.py"
    file.write_text(ADAPTER)
    system = opened(f"{file}:Loud")
    samples = np.random.default_rng(0).uniform(-1, 1, 2000).astype(np.float32) * np.repeat([0, 1, 0, 0.02], 500)
    whole = system.stream().process(samples, last=True)
    listening = system.stream()
    places = [0, *np.clip(np.cumsum(cuts), 0, 2000), 2000]
    parts = [listening.process(samples[a:b]) for a, b in itertools.pairwise(places)]
    parts.append(listening.process(np.empty(0, np.float32), last=True))
    for kind in ("scores", "ages"):
        assert np.array_equal(np.concatenate([getattr(part, kind) for part in parts]), getattr(whole, kind))


@pytest.mark.parametrize(
    ("seconds_loud", "between", "baseline", "events"),
    [
        (0.5, 1.5, 0.0, 2),  # said twice
        (1.6, 1.5, 0.0, 2),  # held beyond the refractory: still one event each time
        (1.6, 1.5, 0.1, 4),  # but not of an engine whose score never falls to nothing: nobody knows when it began
        (0.2, 0.3, 0.0, 1),  # said twice within the refractory
        (4.0, 1.0, 0.0, 6),  # held for so long that it is no word: counted again after 2 s, and after 3 s
    ],
)
def test_a_held_score_is_one_event(adapter, seconds_loud, between, baseline, events):
    system = opened(f"{adapter}:Loud")
    samples = np.full(round(16_000 * (2 * seconds_loud + 2 * between + 1)), baseline, np.float32)
    for start in (1.0, 1.0 + seconds_loud + between):
        samples[round(16_000 * start) : round(16_000 * (start + seconds_loud))] = 0.5
    heard = system.stream().process(samples)
    trigger = Trigger(system.thresholds, system.refractory_frames)
    found, _ = trigger.run(heard.scores, heard.ages, 0, trigger.init_state())
    assert len(found) == events


def test_an_adapter_is_scored_as_a_model_is_and_without_torch(adapter, tmp_path):
    """`kws score` from outside; it loads nothing of the training wing."""
    burst, calm = 0.5 * np.ones(3200, np.float32), np.zeros(8000, np.float32)
    said, other = tmp_path / "said", tmp_path / "other"
    for folder, clips in ((said, [burst, calm]), (other, [calm, np.concatenate([calm, burst, calm])])):
        for i, clip in enumerate(clips):
            write_wav(folder / f"{i}.wav", clip)
    rows = "".join(f"{i}.wav,1,abc,someone,\n" for i in range(2))
    (said / "manifest.csv").write_text(f"audio,seconds,text,speaker,split\n{rows}")
    script = """
import sys
from kws.cli import main
code = main(sys.argv[1:])
sys.exit(code or sorted({"torch", "torchaudio", "pytorch_lightning"} & set(sys.modules)) or 0)
"""
    words = ["score", f"{adapter}:Loud", "--keyword", "abc", "--positives", said, "--negatives", other, "--jobs", "1"]
    command = [sys.executable, "-c", script, *map(str, words), "-o", str(tmp_path / "report")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    own = json.loads((tmp_path / "report/report.json").read_text())["keywords"]["abc"]["points"][0]
    assert (own["positives"], own["misses"], own["false_accepts"]) == (2, 1, 1)


def benchmark(name: str, monkeypatch) -> object:
    """A script of benchmarks/, as a module."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module(name)


def made_report(keywords: dict, conditions: bool = True) -> dict:
    """Of each keyword (misses, false accepts, positives) at the own threshold and two rates."""
    found = {}
    for name, triples in keywords.items():
        points = [
            {"target": target, "misses": m, "false_accepts": fa, "positives": n, "hours": 2.0}
            for target, (m, fa, n) in zip((None, 0.5, 1.0), triples, strict=True)
        ]
        noisy = {"10 dB": [{"misses": 2 * m, "positives": n} for m, _, n in triples]} if conditions else {}
        late = {"n": 9, "median": 100.0, "p95": 200.0}
        found[name] = {"points": points, "conditions": noisy, "latency_ms": late if name == "alexa" else None}
    return {"system": {"version": "1.0", "bytes": 2_000_000}, "keywords": found}


def test_a_row_sums_the_shared_keywords_alone(monkeypatch):
    table = benchmark("peer_table", monkeypatch)
    words = {"alexa": [(1, 0, 10)] * 3, "jarvis": [(3, 2, 20), (4, 1, 20), (2, 2, 20)], "x": [(9, 9, 9)] * 3}
    report = made_report(words)
    row = table.row("ours", report, ["alexa", "jarvis"], {"cpu_s_per_audio_s": 0.0123, "peak_mb": 66.0})
    assert [(p["misses"], p["positives"], p["false_accepts"]) for p in row["points"].values()] == [
        (4, 30, 2), (5, 30, 1), (3, 30, 2)
    ]  # fmt: skip
    assert row["points"]["1"]["noise"]["misses"] == 6 and row["latency_ms"]["n"] == 9
    result = {"rows": [row], "failures": {"x": "no wheel"}, "date": "d", "commit": "c", "machine": "m", "command": "k"}
    text = table.markdown(result)
    line = next(line for line in text.splitlines() if line.startswith("| ours: alexa, jarvis"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
    assert cells[1].startswith("5/30 = 16.7 % (") and cells[1].endswith("1 FA")
    assert cells[3].startswith("6/30") and cells[4].startswith("4/30") and cells[5].startswith("8/30")
    assert cells[6:] == ["2 in 2.00 h", "0.0123", "66", "100 (200)", "2.00"]
    assert "x failed: no wheel" in text


def test_a_row_without_noise_costs_or_word_ends_has_empty_cells(monkeypatch):
    table = benchmark("peer_table", monkeypatch)
    row = table.row("ours", made_report({"jarvis": [(0, 0, 5)] * 3}, conditions=False), ["jarvis"], None)
    result = {"rows": [row], "failures": {}, "date": "d", "commit": "c", "machine": "m", "command": "k"}
    last = table.markdown(result).splitlines()[-1]
    cells = [cell.strip() for cell in last.strip("|").split("|")]
    assert [i for i, cell in enumerate(cells) if not cell] == [3, 5, 7, 8, 9]


def test_what_fails_is_named_and_the_rest_goes_on(monkeypatch, tmp_path):
    peers = benchmark("peers", monkeypatch)
    failures: dict[str, str] = {}
    for name, code in (("bad", "import sys; sys.exit('no wheel for this machine')"), ("good", "print(1)")):
        with peers.noted(failures, name):
            printed = peers.run(tmp_path / name / "log", sys.executable, "-c", code)
    assert printed == "1\n" and list(failures) == ["bad"]
    assert "no wheel for this machine" in failures["bad"] and str(tmp_path / "bad" / "log") in failures["bad"]


def test_an_environment_is_made_once(monkeypatch, tmp_path):
    peers = benchmark("peers", monkeypatch)
    commands: list[tuple] = []

    def pretend(log: Path, *words: object) -> str:
        commands.append(words)
        if "venv" in words:
            Path(str(words[-1])).mkdir(parents=True)
        return ""

    monkeypatch.setattr(peers, "run", pretend)
    for _ in range(2):
        python = peers.environment("porcupine", tmp_path, ["--no-cache-dir"])
    made, filled = commands
    assert made[-1] == tmp_path / "porcupine" and Path(python).is_relative_to(tmp_path / "porcupine")
    assert {*REQUIREMENTS["porcupine"], "--no-cache-dir"} <= set(filled)


@pytest.mark.parametrize("kind", ["model", "adapter"])
def test_costs_are_measured_in_a_process_of_their_own(kind, tone_model, adapter, tmp_path):
    write_wav(tmp_path / "sound.wav", tones.speak("ABC" * 30))
    place = tone_model if kind == "model" else "adapter:Loud"
    command = [sys.executable, ROOT / "benchmarks/cost.py", place, tmp_path / "sound.wav", "abc"]
    environment = {"PYTHONPATH": f"{adapter.parent}:{ROOT}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 0 < found["cpu_s"] < 60 and found["peak_mb"] > 5
    assert found["audio_s"] == pytest.approx(30 * 3 * 0.16 - 5, abs=0.2)  # but for the first five seconds
