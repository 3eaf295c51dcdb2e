"""Batches of segments for a verifier: segments around candidates, as in use, and
others.

A batch is a function of (seed, step) alone, so that a resumed training sees what an
uninterrupted one would have seen.

Shapes: B rows, F hops of 10 ms of a segment, M mel bands, K keywords, N embeddings of a
segment, E their width.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from kws.arrays import Samples
from kws.data.scenes.features import keep_batch, kept_batch
from kws.data.scenes.surroundings import Surroundings, happens
from kws.data.scenes.tapes import Tape
from kws.errors import KwsError
from kws.model.frontend import LogMel
from kws.model.verifier import LEAD_SAMPLES
from kws.train.verifier import teacher
from kws.train.verifier.candidates import Proposal
from kws.train.verifier.recipe import VerifierTaskConfig
from kws.units import HOP_SAMPLES, samples

_NOT_YET_S = (-1.1, -0.7)  # from where a keyword would be verified to where an off-time segment ends
_LONG_AGO_S = (1.0, 1.9)
_HARDER = 0.5  # a candidate is drawn by this power of its score
_COLD_S = (0.3, 1.9)  # of sound behind the silence of a cold start
_WHOLE_S = 1.2  # of sound in which a keyword that is verified at its end is whole


@dataclass(frozen=True)
class TapeSource:
    """A tape that segments are cut from.

    share: its part of the segments. proposals: of the first pass. targets: the tokens
    of each of its rows. holds: (rows, K), which keywords each row says. open: the
    places of rows that may be heard in training. embeddings: of the teacher, (N, E),
    None without one. number: which of its corpus's copies it is. held_out, closed: the
    proposals and the places of the other rows.
    """

    tape: Tape
    share: float
    proposals: Sequence[Proposal]
    targets: Sequence[npt.NDArray[np.int64]]
    holds: npt.NDArray[np.bool_]
    open: npt.NDArray[np.int64]
    embeddings: npt.NDArray[np.float16] | None = None
    number: int = 0
    held_out: Sequence[Proposal] = ()
    closed: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def heard_in(self, start: int, end: int) -> npt.NDArray[np.bool_]:
        """Which keywords (K,) the clips between two samples say, even if only a part of
        the clip lies there.
        """
        first, last = self.tape.row_at(start), self.tape.row_at(end)
        return np.logical_or.reduce(self.holds[first or 0 : (last or 0) + 1], axis=0)


class _Segment(NamedTuple):
    pcm: Samples
    said: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]
    embeddings: npt.NDArray[np.float32]
    taught: bool
    targets: npt.NDArray[np.int64]


class SegmentDataset(Dataset[dict[str, torch.Tensor]]):
    """Item `step` is the batch of that step: features (B, F, M); said and known (B, K),
    whether each keyword is said, and whether that is known; embeddings (B, N, E) of the
    clean sound and taught (B,), whether there are any; targets and target_lengths (B,),
    the tokens of segments that hold one clip, of length 0 for all others.

    kept: folder in which batches are kept for other trainings that have the same ones.
    Features and embeddings are kept in half precision, and what every training gets.
    Raises KwsError where the first pass proposes no right candidate of some keyword.
    """

    def __init__(
        self,
        sources: Sequence[TapeSource],
        task: VerifierTaskConfig,
        surroundings: Surroundings,
        kept: Path | None = None,
    ) -> None:
        self.sources, self.task = sources, task
        self.surroundings = surroundings
        self.frontend = LogMel(task.model.mels)
        self.length = task.model.segment_frames * HOP_SAMPLES
        self.samples = self.length + LEAD_SAMPLES
        self.embeddings = (self.length - teacher.SPAN_SAMPLES) // teacher.STEP_SAMPLES + 1
        right = [[(s, p) for s in sources for p in s.proposals if p.said[k]] for k in range(len(task.keywords))]
        for keyword, found in zip(task.keywords, right, strict=True):
            if not found:
                raise KwsError(f"the first pass {task.first_pass} hears no {keyword!r} in the training clips")
        self._right = [_Urn(found, _equal_parts([s for s, _ in found])) for found in right]
        wrong = [(s, p) for s in sources for p in s.proposals if p.known[p.keyword] and not p.said.any()]
        self._wrong = _Urn(wrong, [p.score**_HARDER for _, p in wrong]) if wrong else None
        self._all = _Urn(list(sources), [s.share for s in sources])
        spelled = [(s, row) for s in sources for row in s.open.tolist() if self._fits(s, row)]
        self._spelled = _Urn(spelled, _equal_parts([s for s, _ in spelled])) if spelled else None
        self._kept = kept / self.identity() if kept else None

    def identity(self) -> str:
        """A digest of everything that determines the batches."""
        task = self.task
        proposed = [[(p.keyword, p.end, p.score) for p in s.proposals] for s in self.sources]  # a first pass may change
        of_sources = [(s.tape.folder.name, s.share, s.embeddings is not None) for s in self.sources]
        sounds = [clips.key if clips else "" for clips in (self.surroundings.noise, self.surroundings.rirs)]
        candidates = (task.first_pass, task.mined_from, task.hold_frames, task.fold, task.folds, task.keywords)
        spelling = (task.extra_spellings, task.model.tokens, task.model.mels, self.length)
        everything = (of_sources, proposed, sounds, candidates, spelling, task.segments, task.scenes)
        return hashlib.blake2b(repr(everything).encode(), digest_size=8).hexdigest()

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        return kept_batch(self._path(step), lambda: self._made(step)) if self._kept else self._made(step)

    def keep(self, step: int) -> Path:
        """The file of a step's batch, which is made when it does not exist."""
        return keep_batch(self._path(step), lambda: self._made(step))

    def _path(self, step: int) -> Path:
        assert self._kept is not None
        return self._kept / f"{step:06d}.npz"

    def _made(self, step: int) -> dict[str, torch.Tensor]:
        config = self.task.segments
        rows = [self._segment(np.random.default_rng((config.batch_seed, step, row))) for row in range(config.rows)]
        pcm, said, known, embeddings, taught, targets = zip(*rows, strict=True)
        return {
            "features": self.features(torch.from_numpy(np.stack(pcm))).half(),
            "said": torch.from_numpy(np.stack(said)),
            "known": torch.from_numpy(np.stack(known)),
            "embeddings": torch.from_numpy(np.stack(embeddings)).half(),
            "taught": torch.tensor(taught),
            "targets": torch.from_numpy(np.concatenate(targets)),
            "target_lengths": torch.tensor([len(target) for target in targets]),
        }

    def features(self, pcm: torch.Tensor) -> torch.Tensor:
        """The features (B, F, M) of sound of `samples`. They are computed here, in the
        process that makes batches, because they take as long as the training step.
        """
        with torch.no_grad():
            mel, _ = self.frontend(pcm, self.frontend.init_state(len(pcm)))
        return mel[:, LEAD_SAMPLES // HOP_SAMPLES :]

    def _segment(self, rng: np.random.Generator) -> _Segment:
        """One segment, of a kind that is drawn by the shares of the recipe."""
        config, kind = self.task.segments, rng.random()
        if (kind := kind - config.keyword) < 0:
            source, proposal = self._right[int(rng.integers(len(self._right)))].draw(rng)
            return self._cut(source, proposal.end + self._jitter(rng), proposal.said, proposal.known, rng)
        if (kind := kind - config.candidate) < 0 and self._wrong is not None:
            source, proposal = self._wrong.draw(rng)
            return self._cut(source, proposal.end + self._jitter(rng), proposal.said, proposal.known, rng)
        if (kind := kind - config.off_time) < 0:
            source, proposal = self._right[int(rng.integers(len(self._right)))].draw(rng)
            off_s = rng.uniform(*(_NOT_YET_S if rng.random() < 0.5 else _LONG_AGO_S))
            nothing = np.zeros_like(proposal.said)
            return self._cut(source, proposal.end + samples(off_s), nothing, ~proposal.said, rng)
        if (kind := kind - config.spelled) < 0 and self._spelled is not None:
            source, place = self._spelled.draw(rng)
            return self._alone(source, place, rng)
        source = self._all.draw(rng)
        place = int(source.open[int(rng.integers(len(source.open)))])
        row = source.tape.rows[place]
        end = int(rng.integers(row.start + self.length // 4, max(row.end, row.start + self.length // 2) + 1))
        return self._cut(source, end, np.zeros_like(source.holds[place]), ~source.holds[place], rng)

    def _cut(
        self,
        source: TapeSource,
        end: int,
        said: npt.NDArray[np.bool_],
        known: npt.NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> _Segment:
        """A segment of a tape, on the teacher's grid, degraded."""
        end = end // teacher.STEP_SAMPLES * teacher.STEP_SAMPLES
        first = (end - self.length) // teacher.STEP_SAMPLES
        embeddings = np.zeros((self.embeddings, teacher.WIDTH), np.float32)
        taught = source.embeddings is not None and 0 <= first <= len(source.embeddings) - self.embeddings
        if taught and source.embeddings is not None:
            embeddings[:] = source.embeddings[first : first + self.embeddings]
        known = known & (said | ~source.heard_in(end - self.length, end))
        pcm = self._degraded(source.tape.cut(end, self.samples), rng)
        if happens(self.task.segments.cold, rng):
            heard_s = rng.uniform(*_COLD_S)
            pcm[: len(pcm) - samples(heard_s)] = 0.0
            taught = False
            if heard_s < _WHOLE_S:  # a word may have lost its begin
                said, known = np.zeros_like(said), known & ~said
        return _Segment(pcm, said, known, embeddings, taught, np.zeros(0, np.int64))

    def _alone(self, source: TapeSource, place: int, rng: np.random.Generator) -> _Segment:
        """One clip with silence around, somewhere in a segment, degraded."""
        row = source.tape.rows[place]
        clip = source.tape.cut(row.end, row.end - row.start)
        pcm = np.zeros(self.samples, np.float32)
        at = int(rng.integers(self.samples - len(clip) + 1))
        pcm[at : at + len(clip)] = clip
        none = np.zeros((self.embeddings, teacher.WIDTH), np.float32)
        said, known = np.zeros_like(source.holds[place]), ~source.holds[place]
        return _Segment(self._degraded(pcm, rng), said, known, none, False, source.targets[place])

    def _degraded(self, pcm: Samples, rng: np.random.Generator) -> Samples:
        return self.surroundings.place(pcm, rng).astype(np.float32, copy=False)

    def _jitter(self, rng: np.random.Generator) -> int:
        return samples(rng.uniform(-1.0, 1.0) * self.task.segments.jitter_s)

    def _fits(self, source: TapeSource, place: int) -> bool:
        row = source.tape.rows[place]
        return bool(row.text) and len(source.targets[place]) > 0 and row.end - row.start <= self.length


def _equal_parts(sources: Sequence[TapeSource]) -> list[float]:
    """Weights of the items on these tapes, with which each tape has its share of them,
    however many it holds.
    """
    each = Counter(map(id, sources))
    return [source.share / each[id(source)] for source in sources]


class _Urn:
    """Items that are drawn by their weights."""

    def __init__(self, things: Sequence[Any], weights: Sequence[float]) -> None:
        self.things = things
        self._sums = np.cumsum(weights) / np.sum(weights)

    def draw(self, rng: np.random.Generator) -> Any:
        """A random item, by the weights."""
        return self.things[min(len(self.things) - 1, int(np.searchsorted(self._sums, rng.random())))]
