"""Tests models of a phrase of one's own on real speech: trained on synthetic speech
alone, with real recordings, and on recordings alone.

    python benchmarks/phrases.py --data FOLDER --word computer --models DIR -o runs/phrases

FOLDER holds wake_words (text, speaker), mini_librispeech and librispeech_many_speakers,
prepared. Recordings to train with are those of the speakers who gave most of the word;
the test is every clip of the word by every other speaker, and
librispeech_many_speakers, which neither trains nor calibrates. The recipes train and
calibrate without wake_words. Each row is `kws train` as a user gives it; then the model
is scored at its own threshold. Killed and given again, it goes on.
"""

import argparse
import csv
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kws.data.manifest import Utterance, read_manifest, write_manifest

ONE, SEVERAL = 10, 4  # recordings of one speaker; speakers


def cases(clips: Sequence[Utterance]) -> list[tuple[str, str, list[Utterance]]]:
    """(name, recipe, recordings); `spelling-alone` is the shipped model's weights with
    what the recordings spell.
    """
    first, *_ = givers(clips)
    one = [row for row in clips if row.speaker == first][:ONE]
    several = [row for who in givers(clips) for row in [r for r in clips if r.speaker == who][:ONE]]
    return [
        ("spelling-alone", "fewshot", one),
        ("fewshot-one-speaker", "fewshot", one),
        ("fewshot-several-speakers", "fewshot", several),
        ("synthetic", "phrase", []),
        ("synthetic-and-one-speaker", "phrase", one),
        ("synthetic-and-several-speakers", "phrase", several),
    ]


def givers(clips: Sequence[Utterance]) -> list[str]:
    """The speakers whose recordings are given: those with most, first the one who has
    most.
    """
    return [who for who, _ in Counter(row.speaker for row in clips).most_common(SEVERAL)]


def manifest(folder: Path, rows: Sequence[Utterance]) -> Path:
    """A folder with a manifest of these rows and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder / "manifest.csv", rows)
    return folder


def kws(log: Path, *words: object) -> str:
    """The output of a kws command, kept in `log` as well."""
    ran = subprocess.run([sys.executable, "-m", "kws", *map(str, words)], capture_output=True, text=True, check=False)
    log.write_text(f"kws {' '.join(map(str, words))}\n{ran.stdout}\n{ran.stderr}", encoding="utf-8")
    if ran.returncode:
        sys.exit(f"kws {words[0]} failed, see {log}: {ran.stderr.splitlines()[-1]}")
    return ran.stdout


def own_threshold(printed: str) -> str:
    """The line of the keyword in the first table of `kws score`: at the model's own
    thresholds.
    """
    return printed.splitlines()[2]


def main() -> None:
    """Trains and scores every case, and prints one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--word", default="computer")
    parser.add_argument(
        "--models", type=Path, required=True, help="folder of the speech models, for the synthetic cases"
    )
    parser.add_argument("--count", type=int, default=800, help="clips to synthesise")
    parser.add_argument("--only", nargs="+", help="names of cases")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/phrases"))
    parser.add_argument("changes", nargs="*", metavar="key=value", help="for the recipes, such as start= or threads=")
    args = parser.parse_intermixed_args()
    clips = [row for row in read_manifest(args.data / "wake_words") if row.text == args.word]
    given = givers(clips)
    output = args.output / args.word.replace(" ", "-")
    one = {row.audio for row in clips if row.speaker == given[0]}
    used = set([row.audio for row in clips if row.speaker == given[0]][:ONE])
    tests = {
        "other speakers": manifest(output / "other-speakers", [r for r in clips if r.speaker not in given]),
        "the first speaker's other recordings": manifest(
            output / "same-speaker", [r for r in clips if r.audio in one - used]
        ),
    }
    negatives = args.data / "librispeech_many_speakers"
    with (output / "results.csv").open("a", newline="", encoding="utf-8") as file:
        for name, recipe, recordings in cases(clips):
            if args.only and name not in args.only:
                continue
            folder = output / name
            words: list[object] = ["train", recipe, "--phrase", args.word, f"data={args.data}", f"output={folder}"]
            words += ["--count", args.count, "--models", args.models] if recipe == "phrase" else []
            words += ["--recordings", manifest(output / f"{name}-given", recordings)] if recordings else []
            words += ["steps=0"] if name == "spelling-alone" else []
            kws(output / f"{name}.log", *words, *args.changes)
            for test, positives in tests.items():
                printed = kws(
                    output / f"{name}-{positives.name}.log", "score", folder / "model.onnx",
                    "--positives", positives, "--negatives", negatives,
                )  # fmt: skip
                print(f"{name:<32}{test:<40}{own_threshold(printed)}", flush=True)
                csv.writer(file).writerow((name, test, own_threshold(printed)))


if __name__ == "__main__":
    main()
