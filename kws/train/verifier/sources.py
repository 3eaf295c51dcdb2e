"""The tapes of a recipe's corpora, from which segments are cut, with the first pass's
scores and the teacher's embeddings along them.

All of it is made once and kept below the data folder; with several workers they make
different tapes at the same time.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kws.arrays import Samples
from kws.data.clips import Clips, load_clips
from kws.data.manifest import describe, read_manifest
from kws.data.scenes.surroundings import Surroundings
from kws.data.scenes.tapes import Tape, record
from kws.data.transcripts import transcribe
from kws.decoding.candidates import CandidateFinder
from kws.errors import KwsError
from kws.lexicon import Lexicon, load_cmudict
from kws.lexicon.text import contains
from kws.log import Log, silent
from kws.model.verifier import LEAD_SAMPLES
from kws.parallel import on_cores
from kws.runtime.detector import Detector
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import find
from kws.runtime.speech.store import digest
from kws.train.recipe import TrainingCorpus
from kws.train.verifier.candidates import Proposal, first_pass_scores, proposals
from kws.train.verifier.folds import in_fold
from kws.train.verifier.recipe import VerifierRecipe, VerifierTaskConfig
from kws.train.verifier.segments import SegmentDataset, TapeSource
from kws.train.verifier.teacher import Teacher
from kws.units import HOP_SAMPLES


@dataclass(frozen=True)
class TapeJob:
    """A tape to make of a corpus: the number of the copy, its share of the segments,
    and the folder in which the tape is kept.
    """

    folder: Path
    number: int
    share: float
    writable: Path
    task: VerifierTaskConfig

    def __str__(self) -> str:
        return f"tape {self.number} of {self.folder}"

    def clips(self, log: Log = silent) -> Clips:
        """The decoded clips of the corpus."""
        return load_clips(read_manifest(self.folder, self.task.splits), self.writable / ".decoded", log)

    def tape(self, log: Log = silent) -> Tape:
        """The tape. The first copy is as it was recorded, the others have other
        speeds.
        """
        speed = self.task.speed if self.number else None
        return record(self.clips(), self.writable / ".tapes", self.number, speed, log)


def segments(recipe: VerifierRecipe, log: Log) -> SegmentDataset:
    """The batches of a recipe; their tapes are kept below its data folder."""
    task, root = recipe.task, Path(recipe.task.data)
    if not root.is_dir():
        raise KwsError(f"the recipe's data folder {root} does not exist: give data=FOLDER")
    writable = root if os.access(root, os.W_OK) else Path(recipe.run.output)
    detector = first_pass(task)
    teach = Teacher(Path(task.teacher)) if task.teacher else None
    jobs = tape_jobs(task, root, writable, log)
    if recipe.run.workers > 1:
        with closing(on_cores(prepare, jobs, recipe.run.workers, log)) as prepared:
            list(prepared)
    lexicon = load_cmudict().extended(task.extra_spellings)
    sources = [_source(job, detector, teach, lexicon, log) for job in jobs]
    noise, rooms = (_sounds(root, corpus, writable / ".decoded", log) for corpus in (task.noise, task.rooms))
    length = task.model.segment_frames * HOP_SAMPLES + LEAD_SAMPLES

    def voice(most: int, rng: np.random.Generator) -> Samples:
        tape = sources[int(rng.integers(len(sources)))].tape
        row = tape.rows[int(rng.integers(len(tape.rows)))]
        return tape.cut(min(row.end, row.start + most), min(most, row.end - row.start))

    kept = Path(recipe.run.features) if recipe.run.features else None
    surroundings = Surroundings(task.scenes, length, noise, rooms, voice)
    return SegmentDataset(sources, task, surroundings, kept)


def first_pass(task: VerifierTaskConfig) -> Detector:
    """The first pass of a recipe; KwsError where it hears other keywords."""
    detector = Detector(OnnxModel.load(find(task.first_pass)), verify=False)
    if [keyword.name for keyword in detector.keywords] != list(task.keywords):
        raise KwsError(f"the first pass {task.first_pass} hears other keywords than the recipe's")
    return detector


def tape_jobs(task: VerifierTaskConfig, root: Path, writable: Path, log: Log) -> list[TapeJob]:
    """The tapes of every corpus that is there, decoded; the longest first."""
    jobs: list[tuple[int, TapeJob]] = []
    for corpus in task.speech:
        if not (root / corpus.folder).is_dir():
            log(f"{corpus.folder} is not in {root}: left out")
            continue
        whole = TapeJob(root / corpus.folder, 1, corpus.share, writable, task)
        clips = whole.clips(log)
        log(f"{corpus.folder}: {describe(clips.utterances)}")
        has_keywords = any(contains(row.text, keyword) for row in clips.utterances for keyword in task.keywords)
        numbers = range(task.copies) if has_keywords else range(1, 2)
        share = corpus.share / len(numbers)
        jobs += [(len(clips.pcm), replace(whole, number=number, share=share)) for number in numbers]
    return [job for _, job in sorted(jobs, key=lambda pair: -pair[0])]


def prepare(job: TapeJob, report: Callable[..., None]) -> None:  # noqa: ARG001
    """Make the tape of a job and the files beside it."""
    found_along(job.tape(), first_pass(job.task), Teacher(Path(job.task.teacher)) if job.task.teacher else None)


def found_along(
    tape: Tape, detector: Detector, teach: Teacher | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float16] | None]:
    """The first pass's scores along a tape and the teacher's embeddings.

    The scores are kept under a digest of all that they depend on: a first pass that is
    trained anew has the name of the one before.
    """
    scoring = (digest(detector.model.path), [keyword.spelled for keyword in detector.keywords], detector.info.scoring)
    key = hashlib.blake2b(repr(scoring).encode(), digest_size=8).hexdigest()
    scores = tape.kept(f"scores-{detector.info.name}-{key}", first_pass_scores(detector))
    return scores, None if teach is None else tape.kept("embeddings", teach)


def _source(job: TapeJob, detector: Detector, teach: Teacher | None, lexicon: Lexicon, log: Log) -> TapeSource:
    task, tape = job.task, job.tape(log)

    def held_out(row: int | None) -> bool:
        return row is not None and in_fold(tape.rows[row].speaker, task.fold, task.folds)

    scores, embeddings = found_along(tape, detector, teach)
    finder = CandidateFinder(len(task.keywords), task.mined_from, task.hold_frames)
    holds = np.array([[contains(row.text, keyword) for keyword in task.keywords] for row in tape.rows])
    found = proposals(tape, scores, finder, detector.info.frame_samples, holds)
    tokens = {token: number for number, token in enumerate(task.model.tokens)}
    targets = [
        np.array([tokens[phone] for phone in transcribe(row.text, lexicon)[0]] if row.text else [], np.int64)
        for row in tape.rows
    ]
    learned, kept_back = _parted(found, held_out)
    rows = np.arange(len(tape.rows))
    closed = np.array([held_out(row) for row in rows.tolist()])
    return TapeSource(
        tape, job.share, learned, targets, holds, rows[~closed], embeddings, job.number, kept_back, rows[closed]
    )


def _parted(found: list[Proposal], held_out: Callable[[int | None], bool]) -> tuple[list[Proposal], list[Proposal]]:
    return [p for p in found if not held_out(p.row)], [p for p in found if held_out(p.row)]


def _sounds(root: Path, corpus: TrainingCorpus | None, cache: Path, log: Log) -> Clips | None:
    if corpus is None:
        return None
    if not (root / corpus.folder).is_dir():
        log(f"{corpus.folder} is not in {root}: left out")
        return None
    return load_clips(read_manifest(root / corpus.folder, ["train"]), cache, log)
