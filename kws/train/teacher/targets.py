"""What a teacher makes of the clips of a corpus, computed once and kept beside the
decoded audio, for all trainings that follow.

A row of training mixtures then costs no more with a teacher than without: Whisper's
encoder would take three times as long as the rest of a step on a CPU.

Shapes: B clips at once, N frames of 40 ms of all clips, V tokens.
"""

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from kws.arrays import Float16Array
from kws.data.clips import Clips
from kws.data.kept import read_kept
from kws.data.scenes.taught import Taught
from kws.errors import KwsError
from kws.files import whole
from kws.log import Log
from kws.model.encoder import FRAME_SAMPLES
from kws.train.teacher.whisper import LONGEST_S, load_teacher
from kws.units import SAMPLE_RATE

LEAD_FRAMES = 6  # of silence before and after a clip
_FORM = f"kws.taught.1 {LEAD_FRAMES}"  # another one where the posteriors of a clip are computed otherwise
_AT_ONCE = 160 * SAMPLE_RATE  # samples of a batch, with what fills shorter clips up
_STEP_FRAMES = 25  # batches have few lengths: torch prepares itself anew for each on a CPU
_LONGEST_FRAMES = int(LONGEST_S * SAMPLE_RATE) // FRAME_SAMPLES


class ClipTeacher:
    """A teacher out of a checkpoint of `phone_teacher`, whose posteriors of clips are
    kept in `cache`.

    accelerator: Lightning's name of the hardware; a CUDA device is used for this, too.
    """

    def __init__(self, checkpoint: Path, cache: Path, accelerator: str, log: Log) -> None:
        gpu = accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available()
        self._device = torch.device("cuda" if gpu else "cpu")
        self._model = load_teacher(checkpoint).to(self._device)
        self._digest = hashlib.blake2b(checkpoint.read_bytes(), digest_size=8).hexdigest()
        self._cache, self._log = cache, log

    def hear(self, clips: Clips) -> Taught:
        """Its log-posteriors of `clips`, out of the cache or computed into it. Raises
        KwsError where a clip is too long for Whisper.
        """
        frames = [_frames(clips.samples(index)) for index in range(len(clips))]
        if max(frames) > _LONGEST_FRAMES:
            path = clips.utterances[int(np.argmax(frames))].audio
            raise KwsError(f"{path} is too long for a teacher, which hears {LONGEST_S:g} s: give a smaller row_seconds")
        starts = np.concatenate([[0], np.cumsum(frames)]).astype(np.int64)
        key = hashlib.blake2b(f"{_FORM} {clips.key} {self._digest}".encode(), digest_size=8).hexdigest()
        path = self._cache / f"{key}.taught.npy"
        size = (int(starts[-1]), len(self._model.config.tokens))
        kept = read_kept(path, partial(_read, size=size), self._log)
        if kept is None:
            self._cache.mkdir(parents=True, exist_ok=True)
            with whole(path, shared=True) as unfinished, unfinished.open("wb") as file:
                np.save(file, self._heard(clips, starts))
            kept = _read(path, size)
        return Taught(kept, starts, LEAD_FRAMES, self._model.config.delay_frames, key)

    def _heard(self, clips: Clips, starts: npt.NDArray[np.int64]) -> Float16Array:
        """The log-posteriors (N, V): clips of about the same length together."""
        heard = np.empty((int(starts[-1]), len(self._model.config.tokens)), np.float16)
        order = sorted(range(len(clips)), key=clips.samples, reverse=True)
        with tqdm(total=len(order), desc="teacher", unit="clip", leave=False, disable=None) as bar:
            while order:
                longest = -(-_frames(clips.samples(order[0])) // _STEP_FRAMES) * _STEP_FRAMES
                longest = min(longest, _LONGEST_FRAMES)
                count = max(1, _AT_ONCE // (longest * FRAME_SAMPLES))
                batch, order = order[:count], order[count:]
                posteriors = self._posteriors(clips, batch, longest)
                for row, index in enumerate(batch):
                    heard[starts[index] : starts[index + 1]] = posteriors[row, : starts[index + 1] - starts[index]]
                bar.update(len(batch))
        return heard

    def _posteriors(self, clips: Clips, batch: list[int], frames: int) -> Float16Array:
        pcm = np.zeros((len(batch), frames * FRAME_SAMPLES), np.float32)
        lead = LEAD_FRAMES * FRAME_SAMPLES
        for row, index in enumerate(batch):
            pcm[row, lead : lead + clips.samples(index)] = clips.read(index)
        with torch.no_grad():
            mel = self._model.features(torch.from_numpy(pcm).to(self._device))
            with torch.autocast(self._device.type, torch.bfloat16):
                found: Float16Array = self._model.from_features(mel).half().cpu().numpy()
        return found


def _frames(samples: int) -> int:
    return -(-samples // FRAME_SAMPLES) + 2 * LEAD_FRAMES


def _read(path: Path, size: tuple[int, int]) -> Float16Array:
    found: Float16Array = np.load(path, mmap_mode="r")
    if found.shape != size or found.dtype != np.float16:
        raise ValueError(f"{path} has the shape {found.shape}")
    return found
