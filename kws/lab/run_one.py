"""One run of a study: a training, and the scores of its model in the test.

Shapes: B pieces, T frames of 40 ms, M mel bands, V tokens.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kws import files
from kws.data.kept import read_kept
from kws.data.torchaudio_import import load_torchaudio
from kws.decoding.scorer import KeywordScorer, best_path
from kws.errors import KwsError
from kws.evaluate.replay.recording import Replayed
from kws.lab.sounds import LEAD_FRAMES, Sounds
from kws.lab.study import Study
from kws.model.acoustic import AcousticModel, parameter_count
from kws.model.checkpoint import Checkpoint, load_checkpoint
from kws.model.encoder import FRAME_SAMPLES
from kws.train.losses.total import ctc_loss
from kws.train.recipe import Recipe
from kws.train.trainer import train
from kws.units import samples

_BATCH_FRAMES = 6400  # of 40 ms, padding included


@dataclass(frozen=True)
class Result:
    """The result of a run's search, and its cost.

    ctc_loss: per phone. phone_errors: of greedy decoding, against `phones` phones that
    are said. minutes: of training.
    """

    ctc_loss: float
    phone_errors: int
    phones: int
    parameters: int
    minutes: float


def trained(recipe: Recipe) -> Path | None:
    """The checkpoint of a run, which is trained if it does not exist; the training's
    log goes to log.txt beside it.

    None in all but the first of several processes of a training, as in
    `kws.train.trainer.train`.
    """
    output = Path(recipe.run.output)
    output.mkdir(parents=True, exist_ok=True)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # it says the same of every run
    with (
        (output / "log.txt").open("a", encoding="utf-8") as log,
        contextlib.redirect_stderr(log),
        contextlib.redirect_stdout(log),
    ):
        return train(recipe, lambda line: log.writelines([line, "\n"]))


def _checkpoint(recipe: Recipe) -> Path:
    """The checkpoint of a cell's run; a run is one process."""
    path = trained(recipe)
    if path is None:
        raise KwsError("the runs of a study are trained by one process each: give devices=1 and num_nodes=1")
    return path


def tested(recipe: Recipe, sounds: Sounds, study: Study, phrases: Path | None) -> list[Replayed]:
    """The test recordings with their scores: from recordings.npz in the run's folder,
    or made and kept there.

    The model is trained first if it is not there. phrases: the checkpoint whose phrase
    branch scores the test instead.
    """
    path = Path(recipe.run.output) / "recordings.npz"
    recordings = read_kept(path, lambda path: load(path, sounds))
    if recordings is None:
        checkpoint = load_checkpoint(phrases or _checkpoint(recipe))
        path.parent.mkdir(parents=True, exist_ok=True)
        save(hear(checkpoint, recipe, sounds, study.segment_s, phrases is not None), path)
        recordings = load(path, sounds)
    return recordings


def result(recipe: Recipe, sounds: Sounds, targets: Sequence[npt.NDArray[np.int64]], segment_s: float) -> Result:
    """The result of a run on the sounds of the search: read from result.json, or
    computed.
    """
    path = Path(recipe.run.output) / "result.json"
    if (kept := files.read_json(path, dict)) is not None:
        return Result(**kept)
    checkpoint = load_checkpoint(_checkpoint(recipe))
    model = checkpoint.model
    loss, errors, phones = reading(model, sounds, targets, segment_s)
    found = Result(loss, errors, phones, parameter_count(model), checkpoint.spent["minutes"])
    files.write_text(path, json.dumps(asdict(found)))
    return found


def reading(
    model: AcousticModel, sounds: Sounds, targets: Sequence[npt.NDArray[np.int64]], segment_s: float
) -> tuple[float, int, int]:
    """CTC loss per phone, phone errors, and phones, of recordings with known phones."""
    distance = load_torchaudio().functional.edit_distance
    losses, errors = 0.0, 0
    for index, start, log_posteriors in posteriors(model.whole, model, sounds, segment_s):
        if start:
            continue  # a recording of the search is one segment
        said = targets[index]
        lengths = torch.tensor([len(log_posteriors)]), torch.tensor([len(said)])
        losses += len(said) * float(
            ctc_loss(torch.from_numpy(log_posteriors)[None], lengths[0], torch.from_numpy(said), lengths[1])
        )
        errors += distance([token for token, _ in best_path(log_posteriors)], said.tolist())
    phones = sum(map(len, targets))
    return losses / phones, errors, phones


def hear(checkpoint: Checkpoint, recipe: Recipe, sounds: Sounds, segment_s: float, phrases: bool) -> list[Replayed]:
    """The recordings of a model: by its phone posteriors, or by those of its phrase
    branch.

    A streaming model hears each recording as one stream. A segment model is given
    overlapping segments, each scored on its own, and a frame has the better score of
    the two that hold it.
    """
    model, scoring = checkpoint.model, recipe.task.scoring
    if phrases:
        tokens = tuple(map(str, range(1 + model.config.phrases)))
        scorer = scoring.scorer(tokens, [[(token,)] for token in tokens[1:]])
        whole = _phrase_posteriors(model)
    else:
        scorer = scoring.scorer(model.config.tokens, list(checkpoint.spellings.values()))
        whole = model.whole
    frames = np.diff(sounds.starts) // model.subsampling.stride
    scores = [np.zeros((n, scorer.keywords)) for n in frames]
    ages = [np.zeros((n, scorer.keywords), np.int64) for n in frames]
    for index, start, log_posteriors in posteriors(whole, model, sounds, segment_s):
        _better(scorer, log_posteriors, scores[index][start:], ages[index][start:])
    return [
        Replayed.of(source, length, scores[i], ages[i], -LEAD_FRAMES)
        for i, (source, length) in enumerate(zip(sounds.sources, sounds.samples, strict=True))
    ]


def _phrase_posteriors(model: AcousticModel) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda mel, lengths: model.whole_with_phrases(mel, lengths)[1]


def _better(
    scorer: KeywordScorer,
    log_posteriors: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float64],
    ages: npt.NDArray[np.int64],
) -> None:
    """Raises the scores of a segment's frames to those of the segment, where those are
    higher.
    """
    found, old, _ = scorer.score(log_posteriors)
    higher = found > scores[: len(found)]
    scores[: len(found)][higher] = found[higher]
    ages[: len(found)][higher] = old[higher]


def posteriors(
    whole: Callable[[Tensor, Tensor], Tensor], model: AcousticModel, sounds: Sounds, segment_s: float
) -> Iterator[tuple[int, int, npt.NDArray[np.float32]]]:
    """(recording, first frame, log-posteriors (T, V)) of every recording, or of the
    segments of every recording.

    whole: (B, 4 T, M) normalised mel and lengths (B,) -> (B, T, V).
    """
    stride = model.subsampling.stride
    frames = (np.diff(sounds.starts) // stride).tolist()
    longest = max(frames) if model.streaming else samples(segment_s) // FRAME_SAMPLES
    pieces = [
        (index, start, min(longest, n - start))
        for index, n in enumerate(frames)
        for start in range(0, max(1, n - longest // 2), max(1, longest // 2) if n > longest else n)
    ]
    pieces.sort(key=lambda piece: piece[2])
    with torch.no_grad():
        for batch in _batches(pieces):
            mel = torch.zeros(len(batch), stride * batch[-1][2], model.config.mels)
            for row, (index, start, n) in enumerate(batch):
                mel[row, : stride * n] = sounds.features(index)[stride * start : stride * (start + n)]
            found = whole(model.normalised(mel), torch.tensor([n for _, _, n in batch])).numpy()
            for row, (index, start, n) in zip(found, batch, strict=True):
                yield index, start, row[:n]


def _batches(pieces: list[tuple[int, int, int]]) -> Iterator[list[tuple[int, int, int]]]:
    """Pieces sorted by length, in batches of about as many frames each."""
    batch: list[tuple[int, int, int]] = []
    for piece in pieces:
        if batch and (len(batch) + 1) * piece[2] > _BATCH_FRAMES:
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


def save(recordings: Sequence[Replayed], path: Path) -> None:
    """Write the scores of the test recordings to `path`, whole or not at all."""
    with files.whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            counts=[len(r.frames) for r in recordings],
            samples=[r.samples for r in recordings],
            names=[f"{r.item.name} {r.item.condition}" for r in recordings],
            frames=np.concatenate([r.frames for r in recordings]),
            scores=np.concatenate([r.scores for r in recordings]),
            ages=np.concatenate([r.ages for r in recordings]),
        )


def load(path: Path, sounds: Sounds) -> list[Replayed]:
    """Read the recordings of these sounds that `save` wrote."""
    with np.load(path) as kept:
        ends = np.cumsum(kept["counts"])[:-1]
        parts = [np.split(kept[name], ends) for name in ("frames", "scores", "ages")]
        lengths = kept["samples"].tolist()
    return [
        Replayed(source, length, frames, scores, ages)
        for source, length, frames, scores, ages in zip(sounds.sources, lengths, *parts, strict=True)
    ]
