"""Adapters of other engines, on made packages that behave like the real ones where it matters."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import opened, scores, sound
from kws.errors import KwsError
from kws.evaluate.replay.engines import ENGINES, REQUIREMENTS, asked_for, package

PACKAGED = [engine for engine in ENGINES if REQUIREMENTS[engine]]  # the others are of kws alone

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


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_hears_what_is_loud_and_not_silence(installed, engine):
    system = opened(engine, "alexa")
    assert system.keywords == ("alexa",) and 0 < system.thresholds[0] < 1
    assert scores(system, sound(0, 0, 0, chunk=system.chunk_samples)).max() == 0
    assert scores(system, sound(0, 0.99, 0, chunk=system.chunk_samples)).max() >= system.thresholds[0]


@pytest.mark.parametrize("engine", PACKAGED)
def test_an_engine_says_which_package_it_is_and_how_large_its_models_are(installed, engine):
    system = opened(engine, "alexa")
    assert system.about().version in REQUIREMENTS[engine] and system.about().bytes > 0


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
    system = opened("kws.evaluate.replay.engines.porcupine:OneSensitivity", "alexa")
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
    assert system.keywords == ("alexa", "hey jarvis") and system.about().bytes == sum(SIZES.values())
    (installed / "mine.tflite").write_bytes(bytes(7))
    assert opened("openwakeword", f"jarvis={installed / 'mine.tflite'}").about().bytes == 300 + 4 + 7


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
    with pytest.raises(KwsError, match="there is no model of x 'alexi': the nearest is 'alexa'"):
        asked_for(["alexi"], shipped, "x")
    with pytest.raises(KwsError, match="there are alexa, hey jarvis"):
        asked_for(["jarvis=no/such.onnx"], shipped, "x")


def test_pocketsphinx_says_what_it_cannot_spot(installed):
    with pytest.raises(KwsError, match="'snowboy' is not in pocketsphinx's dictionary"):
        opened("pocketsphinx", "snowboy")
    with pytest.raises(KwsError, match="--keyword"):
        opened("pocketsphinx")


@pytest.mark.parametrize("engine", PACKAGED)
def test_a_missing_package_is_named_with_the_command_that_brings_it(engine, monkeypatch):
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)
    told = r"environment of its own, in the folder of kws, pip install '.+==.+' '\.\[score\]'"
    with pytest.raises(KwsError, match=told) as caught:
        opened(engine, "alexa")
    assert REQUIREMENTS[engine][0] in str(caught.value)


def test_a_package_that_cannot_be_loaded_is_named_too(tmp_path, monkeypatch):
    (tmp_path / "broken_engine.py").write_text("raise OSError('libx.so: wrong ELF class')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KwsError, match="wrong ELF class"):
        package("broken_engine", "porcupine")
