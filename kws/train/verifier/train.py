"""Training a verifier: tapes, what the first pass proposes on them, segments, the
trainer.

A killed training goes on from its last epoch when it is begun again, and finds its
tapes, candidates and embeddings as they were.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, Timer, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader

from kws.arrays import Samples
from kws.data.clips import Clips, load_clips
from kws.data.manifest import Utterance, describe, read_manifest
from kws.data.surroundings import Surroundings
from kws.data.tapes import Tape, record
from kws.data.transcripts import transcribe
from kws.decoding.candidates import CandidateFinder
from kws.errors import KwsError
from kws.lexicon import Lexicon, contains, load_cmudict
from kws.log import Log, silent
from kws.model.acoustic import parameter_count
from kws.model.verifier import LEAD_SAMPLES, Verifier
from kws.model.verifier_checkpoint import save_verifier
from kws.runtime.detector import Detector
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import find
from kws.train.datamodule import EpochSteps
from kws.train.identity import claim, flat
from kws.train.malloc import keep_freed_memory
from kws.train.recipe import TrainingCorpus
from kws.train.trainer import EpochCheckpoint, refuse_odd_steps
from kws.train.verifier.candidates import first_pass_scores, proposals
from kws.train.verifier.folds import in_fold
from kws.train.verifier.recipe import VerifierRecipe
from kws.train.verifier.segments import SegmentDataset, TapeSource
from kws.train.verifier.task import VerifierTask
from kws.train.verifier.teacher import WIDTH, Teacher
from kws.units import SAMPLE_RATE

_NORMALISATION_STEPS = 4


def train_verifier(recipe: VerifierRecipe, log: Log = silent) -> Path:
    """Train by `recipe`, or what is left of it; the path of the finished checkpoint.

    Raises KwsError for a recipe that cannot be trained, and where `recipe.run.output`
    holds a training of another recipe.
    """
    output = Path(recipe.run.output)
    refuse_odd_steps(recipe.optim)
    pl.seed_everything(recipe.optim.seed, verbose=False)
    try:
        model = Verifier(recipe.task.model)
    except ValueError as error:
        raise KwsError(f"model.mixer={recipe.task.model.mixer}: {error}") from error
    claim(output, recipe)
    finished = output / "verifier.ckpt"
    if finished.exists():
        return finished
    keep_freed_memory()
    torch.set_num_threads(recipe.run.threads)
    data = segments(recipe, log)
    last = output / "last.ckpt"
    if not last.exists():
        _normalise(model, data)
    task = VerifierTask(recipe, model, *_embedding_moments(data))
    log(f"going on from {last}" if last.exists() else f"{parameter_count(model):,} parameters")
    timer = Timer()
    trainer = _trainer(recipe, output, timer)
    steps = EpochSteps(recipe.optim.steps_per_epoch, lambda: trainer.global_step)
    loader: Any = DataLoader(
        data, batch_size=None, sampler=steps, num_workers=1, prefetch_factor=4, persistent_workers=True
    )
    trainer.fit(task, loader, ckpt_path=last if last.exists() else None, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    spent = {"minutes": round(timer.time_elapsed("train") / 60, 1), "steps": trainer.global_step}
    save_verifier(finished, task.model, learned_from(recipe), spent)
    return finished


def _trainer(recipe: VerifierRecipe, output: Path, timer: Timer) -> pl.Trainer:
    optim = recipe.optim
    part = len(list((output / "logs").glob("part-*")))
    return pl.Trainer(
        max_steps=optim.steps,
        precision=optim.precision,  # type: ignore[arg-type]
        accelerator="cpu",
        gradient_clip_val=optim.gradient_clip,
        log_every_n_steps=min(20, optim.steps_per_epoch),
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=CSVLogger(output, "logs", f"part-{part}"),
        callbacks=[
            EMAWeightAveraging(decay=optim.ema_decay, update_starting_at_step=optim.warmup_steps),
            TQDMProgressBar(refresh_rate=10),
            timer,
            EpochCheckpoint(output / "last.ckpt"),
        ],
    )


def learned_from(recipe: VerifierRecipe) -> dict[str, Any]:
    """The recipe as a checkpoint carries it: without paths of this machine, and with
    the corpora that were there.
    """
    task, root = recipe.task, Path(recipe.task.data)

    def there(corpus: TrainingCorpus | None) -> bool:
        return corpus is not None and (root / corpus.folder).is_dir()

    speech = tuple(corpus for corpus in task.speech if there(corpus))
    noise, rooms = (corpus if there(corpus) else None for corpus in (task.noise, task.rooms))
    start = Path(task.first_pass).stem
    used = recipe.changed(data="", output="", speech=speech, noise=noise, rooms=rooms, first_pass=start)
    return flat(used.changed(teacher=Path(task.teacher).name if task.teacher else ""))


def segments(recipe: VerifierRecipe, log: Log) -> SegmentDataset:
    """The batches of a recipe; what they are made of is kept below its data folder."""
    task, root = recipe.task, Path(recipe.task.data)
    if not root.is_dir():
        raise KwsError(f"the recipe's data folder {root} does not exist: give data=FOLDER")
    kept = (root if os.access(root, os.W_OK) else Path(recipe.run.output)) / ".tapes"
    lexicon = load_cmudict().extended(task.extra_spellings)
    tokens = {token: number for number, token in enumerate(task.model.tokens)}
    detector = Detector(OnnxModel.load(find(task.first_pass)), verify=False)
    if [keyword.name for keyword in detector.keywords] != list(task.keywords):
        raise KwsError(f"the first pass {task.first_pass} hears other keywords than the recipe's")
    teach = Teacher(Path(task.teacher)) if task.teacher else None
    sources = []
    for corpus in task.speech:
        if not (root / corpus.folder).is_dir():
            log(f"{corpus.folder} is not in {root}: left out")
            continue
        clips = load_clips(read_manifest(root / corpus.folder, task.splits), kept.parent / ".decoded", log)
        log(f"{corpus.folder}: {describe(clips.utterances)}")
        has_keywords = any(contains(row.text, keyword) for row in clips.utterances for keyword in task.keywords)
        numbers = range(task.copies) if has_keywords else range(1, 2)
        for number in numbers:  # of a corpus with keywords the first tape is as it was recorded
            tape = record(clips, kept, number, task.speed if number else None, log)
            sources.append(_source(tape, corpus.share / len(numbers), task, detector, teach, lexicon, tokens))
    noise, rooms = (_sounds(root, corpus, kept.parent / ".decoded", log) for corpus in (task.noise, task.rooms))
    length = task.model.segment_frames * SAMPLE_RATE // 100 + LEAD_SAMPLES

    def voice(most: int, rng: np.random.Generator) -> Samples:
        tape = sources[int(rng.integers(len(sources)))].tape
        row = tape.rows[int(rng.integers(len(tape.rows)))]
        return tape.cut(min(row.end, row.start + most), min(most, row.end - row.start))

    return SegmentDataset(sources, task, Surroundings(task.scenes, length, noise, rooms, voice), recipe.optim.seed)


def _source(
    tape: Tape,
    share: float,
    task: Any,
    detector: Detector,
    teach: Callable[[Tape], Any] | None,
    lexicon: Lexicon,
    tokens: dict[str, int],
) -> TapeSource:
    def keep(row: int | None) -> bool:
        return row is None or not in_fold(tape.rows[row].speaker, task.fold, task.folds)

    scores = tape.kept(f"scores-{detector.info.name}", first_pass_scores(detector))
    finder = CandidateFinder(len(task.keywords), task.mined_from, task.hold_frames)
    holds = np.array([[contains(row.text, keyword) for keyword in task.keywords] for row in tape.rows])
    found = proposals(tape, scores, finder, detector.info.frame_samples, holds, keep)
    targets = [
        np.array([tokens[phone] for phone in transcribe(row.text, lexicon)[0]] if row.text else [], np.int64)
        for row in tape.rows
    ]
    embeddings = None if teach is None else tape.kept("embeddings", teach)
    places = np.array([place for place in range(len(tape.rows)) if keep(place)], np.int64)
    return TapeSource(tape, share, found, targets, holds, places, embeddings)


def _sounds(root: Path, corpus: TrainingCorpus | None, cache: Path, log: Log) -> Clips | None:
    if corpus is None:
        return None
    if not (root / corpus.folder).is_dir():
        log(f"{corpus.folder} is not in {root}: left out")
        return None
    rows: list[Utterance] = read_manifest(root / corpus.folder, ["train"])
    return load_clips(rows, cache, log)


def _normalise(model: Verifier, data: SegmentDataset) -> None:
    """Sets the model's global mean and deviation per mel band from the first batches."""
    mel = torch.cat([data[step]["features"] for step in range(_NORMALISATION_STEPS)])
    model.set_normalisation(mel.mean(dim=(0, 1)), mel.std(dim=(0, 1)))


def _embedding_moments(data: SegmentDataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (E,) of the teacher's embeddings on all tapes."""
    found = [source.embeddings[::50] for source in data.sources if source.embeddings is not None]
    if not found:
        return torch.zeros(WIDTH), torch.ones(WIDTH)
    embeddings = np.concatenate(found).astype(np.float32)
    return torch.from_numpy(embeddings.mean(0)), torch.from_numpy(embeddings.std(0) + 1e-3)
