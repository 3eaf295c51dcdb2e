"""`kws detect`: stream sound files through a model and print each event when it
fires.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from kws.cli import options
from kws.cli.keywords import add_keyword_options, open_detectors
from kws.controls import escaped
from kws.errors import InputError, KwsError

if TYPE_CHECKING:
    from kws.arrays import Samples
    from kws.events import Detection
    from kws.runtime.stream import Stream

_BLOCK_S = 1.0
_PROGRESS_S = 30.0

_Heard = TypeVar("_Heard", covariant=True)
_EXAMPLES = """examples:
  kws detect recording.wav
  kws detect my-model.onnx *.flac --json
  kws detect --only computer --threshold computer=0.4 recording.wav
  kws detect --keyword "good night" --keyword "zorgo=Z AO R G OW" recording.wav
  ffmpeg -v error -i film.mkv -f wav - | kws detect -
  arecord -t raw -f S16_LE -r 16000 | kws detect --raw 16000 -
  kws detect --gain 20 --channel 2 far-away.wav
  kws detect --explain --keyword computer it-was-said-here.wav -o pictures
"""


class _Stream(Protocol[_Heard]):
    """A stream, or an explainer, that hears a file block by block."""

    def push(self, samples: Samples) -> Sequence[_Heard]:
        """Hear the next samples (S,) at 16 kHz."""

    def flush(self) -> Sequence[_Heard]:
        """End the file."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Hear keywords in sound files. A file that cannot be read does not stop the others."
    parser.epilog = _EXAMPLES + options.PEAK_HELP
    options.add_model_and_files_arguments(
        parser, "FILE", "sound files, pipes, or - for standard input", options.UNNAMED
    )
    add_keyword_options(parser)
    options.add_json_option(
        parser, "print each event as one line of JSON; live (--raw from a pipe) its peak follows in another"
    )
    parser.add_argument(
        "--raw",
        type=options.whole_number(1),
        metavar="RATE",
        help="every FILE is raw 16-bit little-endian mono at RATE Hz; what comes through a pipe is heard as it comes",
    )
    options.add_pickup_options(parser, "every FILE")
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


def run(args: argparse.Namespace) -> int:
    """Print what was heard in every file; 1 when a file could not be read to its end,
    otherwise 0.
    """
    from kws.audio import check_rate

    if args.output is not None and not args.explain:
        args.usage_error("-o is for the pictures of --explain")
    if args.after_pause and args.explain:
        args.usage_error("--explain does not know of --after-pause: leave one of them out")
    if args.raw is not None:
        check_rate(args.raw)
    model, files = options.model_and_files(args)
    failed = False
    for line in (_explained if args.explain else _detected)(args, model, files):
        if isinstance(line, KwsError):
            _say(str(line))
            failed = True
        else:
            print(line, flush=True)
    return int(failed)


def _detected(args: argparse.Namespace, model: str | None, files: list[str]) -> Iterator[str | KwsError]:
    """A line for each event: live as it fires, of a file once its peak is known."""
    from kws.audio.pipes import is_live

    (detector,) = open_detectors(args, [model] if model else [], _say)
    for file in files:
        is_now = is_live(file, args.raw)
        for heard in _hear(_Events(detector.stream(), is_now), file, args, detector.info.follows_level):
            if isinstance(heard, KwsError):
                yield heard
                continue
            if is_now and heard.peak is not None:  # of an event that was told when it fired
                values, line = heard.peak_values(), _peak_line(file, heard)
            else:
                values, line = heard.as_values(), _line(file, heard)
            yield json.dumps({"file": file, **values}) if args.json else line


class _Events:
    """The events of a stream with their peaks; of sound that comes live each event
    twice, first when it fires and again once its peak is known.
    """

    def __init__(self, stream: Stream, is_live: bool) -> None:
        self._stream = stream
        self._is_live = is_live

    def push(self, samples: Samples) -> list[Detection]:
        return self._told(self._stream.push(samples))

    def flush(self) -> list[Detection]:
        return self._told(self._stream.flush())

    def _told(self, fired: list[Detection]) -> list[Detection]:
        return [*fired, *self._stream.peaks] if self._is_live else self._stream.peaks


def _explained(args: argparse.Namespace, model: str | None, files: list[str]) -> Iterator[str | KwsError]:
    """The lines that explain each file, once its picture is drawn; without matplotlib
    the words alone.
    """
    from kws.lexicon.text import phrase_name
    from kws.runtime.explain import explainer, figure, text

    (detector,) = open_detectors(args, [model] if model else [], _say, known=True)
    asked = [phrase_name(phrase) for phrase in args.keyword]
    lacking: KwsError | None = None
    named = ["stdin" if file == "-" else file for file in files]
    for file, path in zip(files, figure.picture_paths(args.output, named), strict=True):
        for heard in _hear(explainer.Explainer(detector, asked), file, args, detector.info.follows_level):
            if isinstance(heard, KwsError):
                yield heard
                continue
            drawn: Path | None = None
            if lacking is None:
                try:
                    drawn = figure.draw(path, _printable(Path(file).name), heard, detector.info)
                except KwsError as error:
                    lacking = error
            if args.json:
                values = text.as_values(heard, detector.info)
                yield from (
                    json.dumps({"file": file, **diagnosis, "picture": drawn and str(drawn)}) for diagnosis in values
                )
                continue
            yield f"{_printable(file)}:"
            yield from (f"  {line}" for line in text.in_words(heard, detector.info))
            if drawn is not None:
                yield f"  picture: {drawn}{figure.coverage(heard)}"
    if lacking is not None:
        yield KwsError(f"no picture was drawn: {lacking}")


def _hear(
    stream: _Stream[_Heard], file: str, args: argparse.Namespace, follows_level: bool
) -> Iterator[_Heard | KwsError]:
    """The results of a stream that hears a file, as they come, and at the end the
    file's fault, if there is one. On the way it says where the file is too quiet, for a
    model that follows the level or one that does not.
    """
    from kws import units
    from kws.audio import pipes
    from kws.audio.pickup import Loudest

    pickup = options.pickup(args)
    loudest = Loudest(pickup.gain_db)
    shows_progress = sys.stderr.isatty()
    failure: KwsError | None = None
    heard_s = shown_s = 0.0
    try:
        for block in pipes.blocks(file, units.samples(_BLOCK_S), args.raw, pickup):
            loudest.add(block)
            yield from stream.push(block)
            heard_s += units.seconds(block.size)
            if shows_progress and heard_s >= shown_s + _PROGRESS_S:
                shown_s = heard_s
                _show(f"{file}: {heard_s / 60:.1f} min")
    except InputError as error:
        failure = KwsError(f"{file}: {error}")
    except KwsError as error:
        failure = error
    if shows_progress:
        _show("")
    yield from stream.flush()  # also of a damaged file: what was read until then is heard to its end
    if failure is not None:
        yield failure
    if note := loudest.note(follows_level):
        _say(f"{_printable(file)}: {note}")


def _say(line: str) -> None:
    with suppress(OSError):  # a full stderr does not stop the other files
        print(f"kws: {line}", file=sys.stderr)


def _show(text: str) -> None:
    """Replace the progress line of the terminal."""
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _line(file: str, detection: Detection) -> str:
    peak = "" if detection.peak is None else f", peak {detection.peak:.2f}"
    return f"{_printable(file)}: {detection.end_s:.2f} s  {detection.keyword}  (score {detection.score:.2f}{peak})"


def _peak_line(file: str, detection: Detection) -> str:
    return f"{_printable(file)}: {detection.end_s:.2f} s  {detection.keyword}  (peak {detection.peak:.2f})"


def _printable(name: str) -> str:
    return escaped(name.encode("utf-8", "backslashreplace").decode())  # a file's name need not be text, nor one line
