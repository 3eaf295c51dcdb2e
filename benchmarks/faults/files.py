"""Bad input: damaged sounds, models from strangers, manifests as nobody should write
them.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import hostile
import numpy as np
import onnx
from row import Row, Setting, counts, sheltered, timed

from kws import audio
from kws.data.manifest import rows_of
from kws.errors import KwsError
from kws.runtime.detector import Detector

RATE = 16_000
CELLS = ("", "nan", "inf", "-1", "1e400", "\0", '"', '"""', ",", ";", "\n", "a" * 200_000, "../" * 500, "é", "\ud800")


def sounds(setting: Setting) -> Iterator[Row]:
    """Damaged .wav, flac, ogg, mp3, m4a and w64 files, read whole."""
    originals = _sounds(setting.folder)
    with timed(Row("damaged sound files")) as row:
        outcomes = sheltered(
            row, setting.cases, lambda number: _read(originals, setting.folder / f"sound-{number % 2}", number)
        )
        row.note = counts(outcomes)
    yield row


def _sounds(folder: Path) -> list[tuple[str, bytes]]:
    """0.1 s of noise as files of several kinds; the first four are .wav, which is read
    without FFmpeg.
    """
    import soundfile

    samples = np.random.default_rng(0).normal(0, 0.1, RATE // 10)
    found = []
    for suffix, kinds in (
        (".wav", ("PCM_16", "PCM_24", "FLOAT", "ULAW")),
        (".flac", ("PCM_16",)),
        (".ogg", ("VORBIS",)),
    ):
        for kind in kinds:
            path = folder / f"whole{suffix}"
            soundfile.write(path, samples, RATE, subtype=kind)
            found.append((suffix, path.read_bytes()))
    path = folder / "whole.mp3"
    soundfile.write(path, samples, RATE, format="MP3")
    m4a, wide = _encoded(samples, "mp4", "aac"), _encoded(samples, "w64", "pcm_s64le")
    return [*found, (".mp3", path.read_bytes()), (".m4a", m4a), (".w64", wide)]


def _encoded(samples: np.ndarray, container: str, codec: str) -> bytes:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=RATE, layout="mono")
        to_codec = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=RATE)
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = RATE
        for ready in (*to_codec.resample(frame), None):
            output.mux(stream.encode(ready))
    return file.getvalue()


def _read(originals: list[tuple[str, bytes]], path: Path, number: int) -> str:
    rng = np.random.default_rng([1, number])
    suffix, content = originals[int(rng.integers(len(originals)))]
    content = hostile.damaged(content, rng)
    path = path.with_suffix(suffix)
    path.write_bytes(content)
    try:
        samples = audio.read(path)
    except KwsError as error:
        return _one_sentence(error, path)
    if samples.dtype != np.float32 or samples.ndim != 1 or not np.isfinite(samples).all():
        raise AssertionError("samples that are no samples")
    return "read"


def _one_sentence(error: KwsError, path: Path) -> str:
    if "\n" in str(error) or path.name not in str(error):
        raise AssertionError(f"not a sentence that names the file: {error}")
    return "refused"


def models(setting: Setting) -> Iterator[Row]:
    """Models made to mislead: a lying model info, damaged, truncated. What loads must
    hear a second of silence.
    """
    proto = onnx.load(str(setting.model))
    built = [build(proto) for build in hostile.BUILT]
    whole = setting.model.read_bytes()

    def case(number: int) -> str:
        rng = np.random.default_rng([2, number])
        if number < len(built):
            content = built[number]
        else:
            content = hostile.lying(proto, rng) if number % 2 else hostile.damaged(whole, rng)
        path = setting.folder / "stranger.onnx"
        path.write_bytes(content)
        try:
            Detector.load(path).stream().push(np.zeros(RATE, np.int16))
        except KwsError as error:
            return _one_sentence(error, path) if "cannot be used" in str(error) else "refused"
        return "heard silence"

    with timed(Row("hostile models")) as row:
        row.note = counts(sheltered(row, setting.cases, case))
    yield row


def manifests(setting: Setting) -> Iterator[Row]:
    """Manifests with changed cells and changed bytes: each good row, which is one whose
    line nobody touched, is read or its line is named.
    """

    def case(number: int) -> str:
        rng = np.random.default_rng([3, number])
        content, names = _mutated(rng, number)
        path = setting.folder / "manifest.csv"
        path.write_bytes(content)
        faults: list[str] = []
        try:
            found = rows_of([f"{path}@Dev" if number % 4 == 1 else str(path)], faults)
        except KwsError as error:
            return _one_sentence(error, path)
        if not all(0 <= row.seconds < np.inf for row in found):
            raise AssertionError("a length that is none")
        _demand_good_rows(content, names, {row.audio.name for row in found}, faults)
        return "read in part" if faults else "read"

    with timed(Row("mutated manifests")) as row:
        row.note = counts(sheltered(row, setting.cases, case))
    yield row


def _mutated(rng: np.random.Generator, number: int) -> tuple[bytes, dict[bytes, str]]:
    """A manifest of five rows of which some cells, and in a third of the cases some
    bytes, are changed; and its lines as they were, with the recording that each names.
    """
    delimiter = str(rng.choice([",", ";", "\t"]))
    names = ["audio", "seconds", "text", "speaker", "split", "start", "end"]
    rows = [[f"a{n}.wav", f"{n}.5", "hey you", f"speaker {n}", "dev", "0.1", "0.5"] for n in range(5)]
    good = {delimiter.join(row).encode(): row[0] for row in rows}
    table = [names, *rows]
    for _ in range(int(rng.integers(1, 5))):
        line = table[int(rng.integers(len(table)))]
        line[int(rng.integers(len(line)))] = CELLS[int(rng.integers(len(CELLS)))]
    content = "\n".join(map(delimiter.join, table)).encode(errors="surrogatepass" if number % 2 else "replace")
    return hostile.damaged(content, rng) if number % 3 == 0 else content, good


def _demand_good_rows(content: bytes, good: dict[bytes, str], read: set[str], faults: list[str]) -> None:
    """Raise AssertionError for a good row below the header that is neither read nor
    named.
    """
    told = {int(fault.partition("manifest.csv line ")[2].partition(":")[0]) for fault in faults}
    lines = content.splitlines()
    header = next((n for n, line in enumerate(lines) if line.strip()), 0)
    for number, line in enumerate(lines[header + 1 :], header + 2):
        if good.get(line, "") not in {"", *read} and number not in told:
            raise AssertionError(f"line {number} is neither read nor named")
