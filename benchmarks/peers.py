"""Other engines beside a model of kws: the same recordings, the same counting, the
keywords that both have.

    python benchmarks/peers.py --positives FOLDER/wake_words@dev \\
        --negatives FOLDER/mini_librispeech@dev FOLDER/librispeech_many_speakers --noise FOLDER/noise@dev -o runs/peers

Each engine gets an environment of its own under .venv-peers (its pinned packages, and
this tree's kws[score]; name others with --pip-args), in which `kws score ENGINE` runs
just as it runs here for the model. Then every engine and the model, with the keywords
that are compared and no others, hear the same minute of speech in turns, on one thread,
each time in a new process. Written: OUTPUT/peers.md and peers.json, and each engine's
own report. Environments and scores are kept: given again, it goes on. An engine that
fails is named, and the others go on.
"""

import argparse
import datetime as dt
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from support.peer_table import NOISE, RATES, Cost, Result, markdown, row

from kws import audio
from kws.data.manifest import rows_of
from kws.errors import KwsError
from kws.evaluate.replay.engines import ENGINES, REQUIREMENTS
from kws.evaluate.replay.systems import SystemSpec, open_system
from kws.evaluate.report.compare import read_report
from kws.evaluate.report.model import Report
from kws.files import write_text
from kws.runtime.shipped import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parents[1]
ALONE = {
    "porcupine": "kws.evaluate.replay.engines.porcupine:OneSensitivity"
}  # what is run where only one threshold is wanted
# Prints those of its words that an engine has a model for; the last reason goes to stderr where there is none.
_HAS = """
import json, sys
from kws.errors import KwsError
from kws.evaluate.replay.systems import SystemSpec, open_system
words = []
for word in sys.argv[2:]:
    try:
        open_system(SystemSpec(sys.argv[1], (word,)))
        words.append(word)
    except KwsError as error:
        reason = error
print(json.dumps(words))
if not words:
    sys.exit(str(reason))
"""


class Failed(Exception):  # noqa: N818 - a step that failed is no error of this script
    """A step of one engine failed; `str()` says which and why."""


@contextmanager
def noted(failures: dict[str, str], name: str) -> Iterator[None]:
    """Keeps what failed, and goes on."""
    try:
        yield
    except Failed as error:
        failures[name] = str(error)


@dataclass(frozen=True)
class Peer:
    """One engine: where its Python is, and the keywords that it shares with the
    model.
    """

    name: str
    python: str
    words: tuple[str, ...]


def run(log: Path, *words: object) -> str:
    """The output of a command with one thread, whose error output is kept in `log`.
    Raises Failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as errors:
        done = subprocess.run(
            [str(word) for word in words],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
    if done.returncode:
        last = (log.read_text(encoding="utf-8").strip() or "no message").splitlines()[-1]
        raise Failed(f"{last} (see {log})")
    return done.stdout


def environment(engine: str, folder: Path, pip_args: Sequence[str]) -> str:
    """The Python of an engine's environment, made where it is missing or made of other
    requirements.
    """
    home, wanted = folder / engine, [*REQUIREMENTS[engine], f"kws[score] @ {ROOT.as_uri()}"]
    python, marker = home / "bin" / "python", home / "installed.json"
    if not marker.exists() or json.loads(marker.read_text(encoding="utf-8")) != wanted:
        print(f"{engine}: making its environment in {home}", file=sys.stderr)
        run(folder / f"{engine}.log", sys.executable, "-m", "venv", "--clear", home)
        packages = [*REQUIREMENTS[engine], "--editable", f"{ROOT}[score]"]
        run(folder / f"{engine}.log", python, "-m", "pip", "install", "--quiet", *pip_args, *packages)
        write_text(marker, json.dumps(wanted))
    return str(python)


def peers(args: argparse.Namespace, ours: Sequence[str], failures: dict[str, str]) -> list[Peer]:
    """The engines that could be installed and know some of our keywords."""
    said = {row.text for row in rows_of(args.positives)}
    found = []
    for name in args.only or ENGINES:
        with noted(failures, name):
            python = environment(name, args.environments, args.pip_args)
            has = run(args.output / name / "words.log", python, "-c", _HAS, name, *sorted(said & set(ours)))
            found.append(Peer(name, python, tuple(json.loads(has.splitlines()[-1]))))
    return found


def score(args: argparse.Namespace, python: str, system: str, keywords: Sequence[str], folder: Path) -> Report:
    """The report of a system, from `kws score` as anybody would give it."""
    words: list[object] = ["score", system, *(f"--keyword={keyword}" for keyword in keywords)]
    words += ["--positives", *args.positives, "--negatives", *args.negatives, "--fa-per-hour", *RATES]
    words += ["--noise", args.noise, "--conditions", NOISE] if args.noise else []
    words += ["--jobs", args.jobs] if args.jobs else []
    print(f"{folder.name}: kws {shlex.join(map(str, words))}", file=sys.stderr)
    run(folder / "score.log", python, "-m", "kws", *words, "-o", folder)
    return read_report(folder)


def sound(sources: Sequence[str], seconds: float, path: Path) -> Path:
    """A recording of the first `seconds` of the sources."""
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        for row in rows_of(sources):
            samples = audio.read(row.audio)[: max(0, round(seconds * 16_000) - writer.getnframes())]
            writer.writeframes(np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2").tobytes())
    return path


def costs(
    args: argparse.Namespace, systems: Sequence[tuple[str, str, str, tuple[str, ...]]], failures: dict[str, str]
) -> dict[str, Cost]:
    """CPU seconds per second of sound and peak MB: medians of rounds. systems: key,
    python, place, keywords.
    """
    recording = sound(args.negatives, args.seconds, args.output / "minute.wav")
    rounds: dict[str, list[dict[str, float]]] = {}
    for _ in range(args.rounds):
        for key, python, place, keywords in systems:
            with noted(failures, f"cost of {key}"):
                log = args.output / f"cost-{key}.log"
                printed = run(log, python, ROOT / "benchmarks/support/cost.py", place, recording, *keywords)
                rounds.setdefault(key, []).append(json.loads(printed.splitlines()[-1]))
    return {key: _cost(found) for key, found in rounds.items()}


def _cost(rounds: Sequence[dict[str, float]]) -> Cost:
    cpu = [one["cpu_s"] / one["audio_s"] for one in rounds]
    return Cost(
        cpu_s_per_audio_s=statistics.median(cpu),
        cpu_lowest_highest=(min(cpu), max(cpu)),
        peak_mb=statistics.median(one["peak_mb"] for one in rounds),
        rounds=len(rounds),
    )


def compare(args: argparse.Namespace) -> Result:
    """Everything: environments, scores, costs, rows."""
    failures: dict[str, str] = {}
    ours = open_system(SystemSpec(args.model, tuple(args.keyword)))
    found = peers(args, ours.keywords, failures)
    reports = {"ours": score(args, sys.executable, args.model, args.keyword, args.output / "kws")}
    for peer in found:
        with noted(failures, peer.name):
            reports[peer.name] = score(args, peer.python, peer.name, peer.words, args.output / peer.name)
    found = [peer for peer in found if peer.name in reports]
    spelled = {keyword.partition("=")[0]: keyword for keyword in args.keyword}
    systems = []
    for peer in found:
        systems.append((peer.name, peer.python, ALONE.get(peer.name, ENGINES[peer.name]), peer.words))
        same = tuple(spelled.get(word, word) for word in peer.words)
        systems.append((f"kws-{peer.name}", sys.executable, args.model, same))
    cost = costs(args, systems, failures)
    rows = []
    for peer in found:
        rows.append(row(peer.name, reports[peer.name], peer.words, cost.get(peer.name)))
        rows.append(row(f"kws {ours.name}", reports["ours"], peer.words, cost.get(f"kws-{peer.name}")))
    commit = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return Result(
        date=dt.datetime.now(dt.timezone.utc).date().isoformat(),
        commit=commit.stdout.strip() or None,
        machine=f"{platform.machine()} {platform.system()}, Python {platform.python_version()}",
        command=shlex.join(["python", "benchmarks/peers.py", *sys.argv[1:]]),
        rows=tuple(rows),
        failures=failures,
    )


def main() -> None:
    """Compares, prints the table, writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help=f"of kws ({DEFAULT_MODEL})")
    parser.add_argument("--keyword", action="append", default=[], help="for the model, as kws score takes it")
    parser.add_argument("--positives", nargs="+", required=True, metavar="SOURCE")
    parser.add_argument("--negatives", nargs="+", required=True, metavar="SOURCE")
    parser.add_argument("--noise", metavar="SOURCE", help=f"to mix the positives with at {NOISE}")
    parser.add_argument("--only", nargs="+", choices=sorted(ENGINES), help="engines (default: all)")
    parser.add_argument("--seconds", type=float, default=65, help="of sound to measure costs with (default: 65)")
    parser.add_argument("--rounds", type=int, default=5, help="of measuring costs (default: 5)")
    parser.add_argument("--jobs", type=int, help="processes of each kws score")
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv-peers", metavar="DIR")
    parser.add_argument("--pip-args", type=shlex.split, default=[], help="for pip install, as one word")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/peers"))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    try:
        result = compare(args)
    except (KwsError, Failed) as error:
        sys.exit(f"peers: {error}")
    write_text(args.output / "peers.json", json.dumps(asdict(result), indent=1))
    write_text(args.output / "peers.md", markdown(result))
    print(markdown(result), end="")


if __name__ == "__main__":
    main()
