"""A model file from a stranger is refused in a sentence, whatever it asks of the machine, and refused soon."""

import importlib.util
import json
import resource
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

import tones  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.metadata import ModelInfo  # noqa: E402
from kws.runtime import strangers  # noqa: E402
from kws.runtime.detector import Detector  # noqa: E402
from kws.runtime.session import OnnxModel  # noqa: E402
from trees import ROOT  # noqa: E402

_spec = importlib.util.spec_from_file_location("hostile", ROOT / "benchmarks/faults/hostile.py")
hostile = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hostile)

EXPECTED = {
    "expanding": "needs more than",
    "filled": "needs more than",
    "doubling": "needs more than",
    "joined": "its operator Constant takes memory that nobody can bound",
    "worded": "it has strings for weights",
    "printed": "its operator Cast takes memory that nobody can bound",
    "sorted_out": "its operator Unique takes memory that nobody can bound",
    "declared": "onnxruntime can load",
    "slow": "takes more than",
    "external": "in another file",
    "climbing": "in another file",
    "foreign_operator": "its operator Open is of another maker, com.example",
    "endless": "its operator Loop holds a graph",
    "crowded": "more than 5000 operators",
    "heavy": "more than 64 MB",
    "foreign": "no model info",
}


@pytest.fixture
def tones_proto(tone_model):
    return onnx.load(str(tone_model))


def test_every_kind_that_is_built_is_expected_here():
    assert {build.__name__ for build in hostile.BUILT} - {"hidden"} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_hostile_model_is_refused(name, tones_proto, tmp_path, monkeypatch):
    if name == "slow":
        monkeypatch.setattr(strangers, "MOST_S", 0.5)
    path = tmp_path / "a.onnx"
    path.write_bytes(getattr(hostile, name)(tones_proto))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(KwsError, match=EXPECTED[name]) as caught:
        OnnxModel.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024)
    assert grown < 2 * strangers.MOST_MEMORY


def test_what_is_hidden_in_a_second_pass_is_refused(tmp_path):
    import pairs

    path = pairs.write_pair(tmp_path / "pair.onnx")
    path.write_bytes(hostile.hidden(onnx.load(str(path))))
    with pytest.raises(KwsError, match="its operator Loop holds a graph"):
        OnnxModel.load(path)


def test_an_overlong_number_hides_nothing(tones_proto):
    """Protocol Buffers lets a writer spell a number with more bytes than it takes."""
    graph = hostile.external(tones_proto)
    place = b"\x0a\x08location"
    assert graph.count(place) == 1
    with pytest.raises(KwsError, match="in another file"):
        strangers.check(graph.replace(b"\x70\x01", b"\xf0\x00\x81\x00"))


def test_overlong_numbers_and_names_that_stand_twice_hide_no_strings():
    """A parser keeps 32 bits of a type, and of two names the last one."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    overlong = b"\x88\x80\x80\x80\x10"  # 2**32 + 8
    weight = field(5, b"\x10" + overlong)
    cast = field(1, field(4, b"Cast") + field(5, b"\x18" + overlong))
    renamed = field(1, field(4, b"Add") + field(4, b"StringConcat"))
    for part in (weight, cast, renamed):
        with pytest.raises(KwsError, match="nobody can bound"):
            strangers.check(field(7, part))


@pytest.mark.parametrize("content", [b"\xff" * 11, b"\x0b", b"\x3a\x05a", b"\x0a", b"\x09abc"])
def test_bytes_of_no_onnx_file_are_refused(content):
    with pytest.raises(KwsError, match="not those of an ONNX file"):
        strangers.check(content)


def test_a_file_of_many_small_parts_is_refused_soon():
    with pytest.raises(KwsError, match="parts"):
        strangers.check(b"\x08\x01" * 600_000)


def test_a_model_that_is_borne_hears_the_same_as_unguarded(tone_model, monkeypatch):
    from kws.runtime import session

    sound = np.concatenate([tones.speak("ABC"), np.zeros(8000, np.float32)])
    guarded = Detector.load(tone_model).stream().process(sound)
    monkeypatch.setattr(session, "ships", lambda path: True)
    vouched = Detector.load(tone_model).stream().process(sound)
    assert np.array_equal(guarded.scores, vouched.scores) and guarded.detections == vouched.detections != []


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"chunks_per_call": 10**12}, "too many chunks"),
        ({"states": [{"name": "tail", "shape": [2**40], "dtype": "float32"}]}, "values"),
        ({"states": [{"name": "tail", "shape": [2**20] * 8, "dtype": "float32"}]}, "values"),
        ({"keywords": [{"name": "a", "spellings": [["A"]] * 10_001, "threshold": 0.5}]}, "10001 spellings"),
        ({"keywords": [{"name": "a", "spellings": [["A"] * 100_001], "threshold": 0.5}]}, "too long"),
        ({"scoring": {**tones.model_info()["scoring"], "max_duration_frames": 2**70}}, "frames"),
    ],
)
def test_a_model_info_that_asks_for_more_than_any_model_is_refused(changes, wanted):
    with pytest.raises(KwsError, match=wanted):
        ModelInfo.from_json(json.dumps(tones.model_info(**changes)))


def test_names_that_are_not_utf8_are_refused(tone_model, tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(tone_model.read_bytes().replace(b"kws.manifest", b"kws.\xff\xe3nifest"))
    with pytest.raises(KwsError, match=r"not UTF-8|onnxruntime can load"):
        OnnxModel.load(path)
