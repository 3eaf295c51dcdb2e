"""The training task of a verifier: whether words are said, their phones, and what a
teacher hears.

Shapes: B rows, F hops of 10 ms, M mel bands, T frames of 40 ms, K keywords, N
embeddings of a segment.
"""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from kws.model.encoder import FRAME_SAMPLES
from kws.model.verifier import Verifier
from kws.train.specaugment import SpecAugment
from kws.train.task import adamw
from kws.train.verifier import teacher
from kws.train.verifier.recipe import VerifierRecipe
from kws.train.warp import VocalTractWarp

_HIDDEN = 192


class VerifierTask(pl.LightningModule):
    """Trains `model` by `recipe`.

    embedding_mean, embedding_deviation: of the teacher's outputs (E,), by which they
    are normalised.
    """

    embedding_mean: Tensor
    embedding_deviation: Tensor

    def __init__(self, recipe: VerifierRecipe, model: Verifier, embedding_mean: Tensor, embedding_deviation: Tensor):
        super().__init__()
        self.recipe = recipe
        self.model = model
        self.warp = VocalTractWarp(model.config.mels, recipe.task.vocal_tract)
        self.mask = SpecAugment(recipe.task.frequency_mask, recipe.task.time_mask_frames)
        self.learner = nn.Sequential(
            nn.Linear(model.config.width, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, teacher.WIDTH)
        )
        self.register_buffer("embedding_mean", embedding_mean)
        self.register_buffer("embedding_deviation", embedding_deviation)

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        # dropout and masks of a step depend on (seed, step) alone, so that a resumed training repeats them
        torch.manual_seed(self.recipe.optim.seed * 1_000_003 + self.global_step)

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        with torch.no_grad():
            normalised = self.mask(self.model.normalised(self.warp(batch["features"].float())))
        hidden = self.model.encode(normalised)
        task = self.recipe.task
        heard = task.word_gradient * hidden + (1 - task.word_gradient) * hidden.detach()
        words = keyword_loss(self.model.log_odds(heard), batch["said"], batch["known"])
        self.log("words", words, prog_bar=True)
        total = words
        if task.teacher and task.teacher_weight:
            taught = self._teacher_loss(hidden, batch)
            self.log("teacher", taught, prog_bar=True)
            total = total + task.teacher_weight * taught
        if task.phone_weight:
            phones = self._phone_loss(hidden, batch)
            self.log("phones", phones, prog_bar=True)
            total = total + task.phone_weight * phones
        return total

    def _teacher_loss(self, hidden: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Mean squared error of the teacher's normalised embeddings, each read from the
        frame in its middle.
        """
        count = batch["embeddings"].shape[1]
        places = torch.arange(count) * (teacher.STEP_SAMPLES // FRAME_SAMPLES) + teacher.SPAN_SAMPLES // (
            2 * FRAME_SAMPLES
        )
        wanted = (batch["embeddings"].float() - self.embedding_mean) / self.embedding_deviation
        errors = torch.square(self.learner(hidden[:, places]) - wanted).mean(dim=(1, 2))
        taught = batch["taught"].to(errors.dtype)
        return (errors * taught).sum() / taught.sum().clamp(min=1)

    def _phone_loss(self, hidden: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Mean CTC loss of the segments that hold one clip, for each of its phones."""
        spelled = batch["target_lengths"] > 0
        if not spelled.any():
            return hidden.sum() * 0.0
        log_posteriors = self.model.log_posteriors(hidden[spelled]).float()
        frames = torch.full((len(log_posteriors),), log_posteriors.shape[1])
        return functional.ctc_loss(
            log_posteriors.transpose(0, 1),
            batch["targets"],
            frames,
            batch["target_lengths"][spelled],
            zero_infinity=True,
        )

    def configure_optimizers(self) -> Any:
        return adamw(self, self.recipe.optim)


def keyword_loss(log_odds: Tensor, said: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy of (B, K) log-odds where it is known whether a keyword is
    said, a sum over keywords and a mean over rows.
    """
    losses = functional.binary_cross_entropy_with_logits(log_odds.float(), said.float(), reduction="none")
    return (losses * known).sum() / len(losses)
