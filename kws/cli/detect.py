"""`kws detect`: stream sound files through a model and print each event when it fires."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from kws import audio, units
from kws.errors import InputError, KwsError
from kws.events import Detection
from kws.lexicon import Lexicon, load_cmudict, phrase_name
from kws.runtime.detector import Detector
from kws.runtime.shipped import DEFAULT_MODEL, shipped

_BLOCK_SAMPLES = units.samples(1.0)
_PROGRESS_BLOCKS = 30

_Heard = TypeVar("_Heard", covariant=True)
_EXAMPLES = """examples:
  kws detect recording.wav
  kws detect my-model.onnx *.flac --json
  kws detect --keyword "hey computer" --keyword "zorgo=Z AO R G OW" recording.wav
  kws detect --explain --keyword computer it-was-said-here.wav -o pictures
"""


class _Stream(Protocol[_Heard]):
    """What hears a file block by block."""

    def push(self, samples: audio.Samples) -> Sequence[_Heard]:
        """Hear the next samples (S,) at 16 kHz."""

    def flush(self) -> Sequence[_Heard]:
        """The file has ended."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `kws detect`."""
    parser.description = "Hear keywords in sound files. A file that cannot be read does not stop the others."
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "files",
        nargs="+",
        metavar="[MODEL] FILE",
        help="sound files; the first may be an .onnx file or the name of a model that ships with kws",
    )
    parser.add_argument("--model", metavar="MODEL", help=f"the model, by path or name ({DEFAULT_MODEL})")
    add_keyword_argument(parser)
    add_threshold_argument(parser)
    parser.add_argument("--json", action="store_true", help="print each event as one line of JSON")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="say why each keyword fired or did not, and draw it; --keyword may name one of the model's",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER|PICTURE",
        help="where --explain draws: a folder (this one), or for one FILE a .png, .svg or .pdf",
    )
    parser.set_defaults(usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Print what was heard in every file; 1 when a file could not be read to its end, otherwise 0."""
    if args.output is not None and not args.explain:
        args.usage_error("-o is for the pictures of --explain")
    model, files = _model_and_files(args)
    failed = False
    for line in (_explained if args.explain else _detected)(args, model, files):
        if isinstance(line, KwsError):
            print(f"kws: {line}", file=sys.stderr)
            failed = True
        else:
            print(line, flush=True)
    return int(failed)


def _detected(args: argparse.Namespace, model: str, files: list[str]) -> Iterator[str | KwsError]:
    """A line for each event as it fires."""
    detector = open_detector(model, args.keyword, args.threshold)
    for file in files:
        for heard in _hear(detector.stream(), file):
            if isinstance(heard, KwsError):
                yield heard
            else:
                yield _json_line(file, heard) if args.json else _line(file, heard)


def _explained(args: argparse.Namespace, model: str, files: list[str]) -> Iterator[str | KwsError]:
    """The lines that explain each file, once its picture is drawn; without matplotlib the words alone."""
    from kws.runtime.explain import explainer, figure, text

    detector = open_detector(model, args.keyword, args.threshold, known=True)
    asked = [phrase_name(phrase) for phrase in args.keyword]
    lacking: KwsError | None = None
    for file, path in zip(files, figure.picture_paths(args.output, files), strict=True):
        for heard in _hear(explainer.Explainer(detector, asked), file):
            if isinstance(heard, KwsError):
                yield heard
                continue
            drawn: Path | None = None
            if lacking is None:
                try:
                    drawn = figure.draw(path, _printable(Path(file).name), heard, detector.manifest)
                except KwsError as error:
                    lacking = error
            if args.json:
                values = text.as_values(heard, detector.manifest)
                yield from (json.dumps({"file": file, **story, "picture": drawn and str(drawn)}) for story in values)
                continue
            yield f"{_printable(file)}:"
            yield from (f"  {line}" for line in text.in_words(heard, detector.manifest))
            if drawn is not None:
                yield f"  picture: {drawn}{figure.coverage(heard)}"
    if lacking is not None:
        yield KwsError(f"no picture was drawn: {lacking}")


def add_keyword_argument(parser: argparse.ArgumentParser) -> None:
    """--keyword, as every verb that hears phrases takes it."""
    parser.add_argument(
        "--keyword",
        action="append",
        default=[],
        metavar="PHRASE",
        help='a further phrase to hear, or one with its phones: "PHRASE=PH ON ES" (may be repeated)',
    )


def add_threshold_argument(parser: argparse.ArgumentParser) -> None:
    """--threshold, likewise."""
    parser.add_argument("--threshold", type=_threshold, metavar="X", help="one threshold in (0, 1] for every keyword")


def _threshold(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not in (0, 1]")
    return value


def _model_and_files(args: argparse.Namespace) -> tuple[str, list[str]]:
    """The model may be said by --model, or stand before the files."""
    model, files = args.model, list(args.files)
    first = files[0]
    if model is None and (first.endswith(".onnx") or (first in shipped() and not Path(first).is_file())):
        model = files.pop(0)
    if not files:
        args.usage_error("no sound file is given")
    return model or DEFAULT_MODEL, files


def open_detector(model: str, phrases: list[str], threshold: float | None = None, *, known: bool = False) -> Detector:
    """A detector that also hears `phrases` (words, or "PHRASE=PH ON ES"); threshold: one for all keywords.

    known: a phrase without phones may name a keyword that the model has.
    """
    detector = Detector.load(model)
    names = {keyword.name for keyword in detector.keywords} if known else set()
    phrases = [phrase for phrase in phrases if "=" in phrase or phrase_name(phrase) not in names]
    if not (phrases or detector.keywords):
        raise KwsError(f"the model {detector.manifest.name} has no keyword of its own: say what to hear with --keyword")
    if phrases:
        spelled = all("=" in phrase for phrase in phrases)
        lexicon = Lexicon({}) if spelled else load_cmudict()
        spellings = {phrase_name(phrase): lexicon.spell(phrase) for phrase in phrases}
        detector = detector.with_keywords(spellings)
    return detector if threshold is None else detector.with_threshold(threshold)


def _hear(stream: _Stream[_Heard], file: str) -> Iterator[_Heard | KwsError]:
    """What a stream hears in a file, as it hears it, and in the end what was wrong with the file, if anything was."""
    shows_progress = sys.stderr.isatty()
    failure: KwsError | None = None
    try:
        for number, block in enumerate(audio.blocks(file, _BLOCK_SAMPLES), 1):
            yield from stream.push(block)
            if shows_progress and number % _PROGRESS_BLOCKS == 0:
                _show(f"{file}: {units.seconds(number * _BLOCK_SAMPLES) / 60:.1f} min")
    except InputError as error:
        failure = KwsError(f"{file}: {error}")
    except KwsError as error:
        failure = error
    if shows_progress:
        _show("")
    yield from stream.flush()  # also of a damaged file: what was read until then is heard to its end
    if failure is not None:
        yield failure


def _show(text: str) -> None:
    """Replace the progress line of the terminal."""
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _line(file: str, detection: Detection) -> str:
    return f"{_printable(file)}: {detection.end_s:.2f} s  {detection.keyword}  (score {detection.score:.2f})"


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()  # a file's name need not be text


def _json_line(file: str, detection: Detection) -> str:
    event = {
        "file": file,
        "keyword": detection.keyword,
        "score": round(detection.score, 4),
        "start_s": round(detection.start_s, 3),
        "end_s": round(detection.end_s, 3),
    }
    return json.dumps(event)
