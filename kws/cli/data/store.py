"""`kws data store`: store speech as a model hears it, to set thresholds by."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.cli.options import log_to_stderr


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kws data store`."""
    parser.description = (
        "Store what a model makes of ordinary speech: its log-posteriors in few bytes, with the words and where they "
        "end. A phrase that is typed for that model (--keyword) is then tried on the stored speech, and gets a "
        "threshold of its own. The file must lie beside the model and be called as it is: mine.onnx, mine.speech. "
        "Take speech that the model did not learn from, and make the file again when the model changes."
    )
    parser.add_argument("model", metavar="MODEL", help="an .onnx file or the name of a shipped model")
    parser.add_argument("corpora", nargs="+", metavar="SOURCE", help="manifests, MANIFEST@SPLIT or folders of audio")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.speech", help="the file to write")


def run(args: argparse.Namespace) -> str:
    """Stores what a model makes of speech; recordings that were of no use are named on
    stderr.
    """
    from tqdm import tqdm

    from kws.data.manifest import place_of, rows_of
    from kws.data.stored_speech import hear_speech
    from kws.metadata import DataSource
    from kws.recipes.training_corpora import known
    from kws.runtime.shipped import find

    skipped: list[str] = []
    rows = rows_of(args.corpora, skipped)
    data = []
    for corpus in args.corpora:
        path, split = place_of(corpus)
        folder = (path if path.is_dir() else path.parent).resolve().name
        title, licence, attribution = known().get(folder, (folder, "", ""))
        data.append(DataSource(f"{title}, {split}" if split else title, licence, attribution))
    speech = hear_speech(find(args.model), tqdm(rows, "hearing", unit="clip", leave=False, disable=None), data, skipped)
    speech.write(args.output)
    for line in skipped:
        log_to_stderr(f"skipped {line}")
    size, words = args.output.stat().st_size, sum(len(recording.words) for recording in speech.recordings)
    return (
        f"{len(speech.recordings)} recordings, {speech.hours:.2f} h, {words} words in {args.output}: "
        f"{size / 1e3:.0f} kB, {size / 1e3 / speech.hours:.0f} kB an hour"
    )
