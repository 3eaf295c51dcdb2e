"""The training task of a teacher: CTC over phones, at the times at which a streaming
model can say them.

A CTC model that hears a whole row is free to say a phone before it is over, and a
streaming student cannot learn that. So the teacher learns the times of a streaming
model, `timing`: at each frame whether a phone is said, and not which. That leaves it
free to say a phone in the frame in which `timing` says the phone before, and it does.
So a student is told all phones some frames later (`delay` in train.py).

    L = CTC(tokens) + TIMING_WEIGHT KL(blank or not)

Half of the rows are as clean as their clips, which is what a teacher hears later, half
are in noise, rooms and on telephones.

Shapes: B rows, S samples, F hops of 10 ms, M mel bands, T frames of 40 ms, V tokens.
"""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from kws.data.scenes.dataset import Batch
from kws.data.torchaudio_import import load_torchaudio
from kws.decoding.scorer import best_path
from kws.model.acoustic import AcousticModel
from kws.train.losses.total import ctc_loss
from kws.train.recipe import Recipe
from kws.train.specaugment import SpecAugment
from kws.train.task import warmup_cosine
from kws.train.teacher.whisper import WhisperPhones

TIMING_WEIGHT = 0.4
_HEAD_RATE = 7.0  # the head is new and learns so much faster than the encoder
_NEARLY = 1e-5  # log-posteriors stay away from 0


class TeacherTask(pl.LightningModule):
    """Trains `model` by `recipe`; `timing` stays as it is."""

    def __init__(self, recipe: Recipe, model: WhisperPhones, timing: AcousticModel) -> None:
        super().__init__()
        self.recipe, self.model = recipe, model
        self.timing = timing.requires_grad_(False)
        self.mask = SpecAugment(recipe.task.frequency_mask, recipe.task.time_mask_frames)
        self.errors = self.phones = 0

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # dropout and masks of a step depend on (seed, step) alone, so that a resumed training repeats them
        torch.manual_seed(self.recipe.optim.seed * 1_000_003 + self.global_step)
        self.timing.eval()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        dry = batch["dry"]
        noisy = torch.rand(len(dry), 1, device=dry.device) < 0.5
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            mel = self.mask(self.model.features(torch.where(noisy, batch["pcm"], dry)))
            said, _ = self.timing.features(dry, self.timing.frontend.init_state(len(dry)))
        with torch.no_grad():
            frames = torch.full((len(dry),), mel.shape[1] // self.timing.subsampling.stride)
            times = self.timing.whole(said, frames)
        log_posteriors = self.model.from_features(mel)
        lengths = batch["target_lengths"]
        spoken = ctc_loss(log_posteriors, frames, batch["targets"], lengths)
        timed = timing_loss(log_posteriors, times) / lengths.sum().clamp(min=1)
        self.log("loss", spoken, prog_bar=True)
        self.log("timing_loss", timed, prog_bar=True)
        return spoken + TIMING_WEIGHT * timed

    def on_validation_epoch_start(self) -> None:
        self.errors = self.phones = 0

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        with torch.autocast(self.device.type, enabled=False):
            mel = self.model.features(batch["pcm"])
        posteriors = self.model.from_features(mel)[0].double().cpu().numpy()
        said = batch["targets"].tolist()
        self.errors += load_torchaudio().functional.edit_distance([token for token, _ in best_path(posteriors)], said)
        self.phones += len(said)

    def on_validation_epoch_end(self) -> None:
        self.log("phone_error_rate", self.errors / max(1, self.phones), prog_bar=True)

    def configure_optimizers(self) -> Any:
        optim = self.recipe.optim
        head = list(self.model.head.parameters())
        encoder = [weight for name, weight in self.model.named_parameters() if not name.startswith("head.")]
        groups: list[dict[str, Any]] = [
            {"params": head, "lr": _HEAD_RATE * optim.learning_rate},
            {"params": encoder, "lr": optim.learning_rate},
        ]
        optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=optim.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: warmup_cosine(step, optim.warmup_steps, optim.steps)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def timing_loss(log_posteriors: Tensor, times: Tensor) -> Tensor:
    """The Kullback-Leibler divergence of whether a frame is blank, from (B, T, V)
    log-posteriors `times` to `log_posteriors`, added up over all frames.
    """
    blank = log_posteriors[..., 0].clamp(max=-_NEARLY)
    wanted = times[..., 0].float().clamp(max=-_NEARLY)
    spoken, wanted_spoken = torch.log1p(-blank.exp()), torch.log1p(-wanted.exp())
    return (wanted.exp() * (wanted - blank) + wanted_spoken.exp() * (wanted_spoken - spoken)).sum()
