"""The training task: losses over scenes, and validation by the scorer that the device
runs.

Shapes: B rows, S samples, F hops of 10 ms, M mel bands.
"""

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, distributed

from kws.data.scenes.dataset import Batch
from kws.data.torchaudio_import import load_torchaudio
from kws.decoding.scorer import best_path
from kws.evaluate.count.matching import Counting
from kws.evaluate.count.metrics import rates_at
from kws.evaluate.replay.recording import Label, Replayed, TestItem
from kws.lexicon import Lexicon
from kws.model.acoustic import AcousticModel
from kws.train.losses.total import Losses
from kws.train.recipe import OptimConfig, Recipe
from kws.train.specaugment import SpecAugment
from kws.train.vocabulary import keyword_spellings
from kws.train.warp import VocalTractWarp

VALIDATION_FA_PER_HOUR = 1.0


class CTCTask(pl.LightningModule):
    """Trains `model` by `recipe` and watches the recipe's keywords in validation.

    lexicon: spells the keywords and the closed vocabulary of the recipe.
    """

    def __init__(self, recipe: Recipe, model: AcousticModel, lexicon: Lexicon) -> None:
        super().__init__()
        self.recipe = recipe
        self.model = model
        self.spellings = keyword_spellings(recipe, lexicon)
        self.warp = VocalTractWarp(model.config.mels, recipe.task.vocal_tract)
        self.mask = SpecAugment(recipe.task.frequency_mask, recipe.task.time_mask_frames)
        self.scorer = recipe.task.scoring.scorer(model.config.tokens, list(self.spellings.values()))
        self.recordings: list[Replayed] = []
        self.errors = self.phones = 0
        self.losses = Losses(recipe, model.config, lexicon)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        with torch.no_grad(), self._in_single_precision():
            mel = self.mask(self._mel(batch))
        total = torch.zeros((), device=self.device)
        for name, weight, mean, things in self.losses(self.model, mel, batch):
            loss = mean * self._part(things)
            self.log(name, loss, prog_bar=True, sync_dist=True)
            total = total + weight * loss
        return total

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # dropout and masks of a step depend on (seed, step, process) alone, so that a resumed training repeats them
        torch.manual_seed(self.recipe.optim.seed * 1_000_003 + self.global_step + self.global_rank * 1_000_000_007)

    def _in_single_precision(self) -> torch.autocast:
        """Computes in single precision whatever the hardware, since energies span more
        than bfloat16 resolves.
        """
        return torch.autocast(self.device.type, enabled=False)

    def _mel(self, batch: Batch) -> Tensor:
        """The mel (B, F, M), normalised and warped, from kept features or from
        sound.
        """
        if "mel" in batch:
            mel = batch["mel"]
        else:
            mel, _ = self.model.frontend(batch["pcm"], self.model.frontend.init_state(len(batch["pcm"])))
        return self.model.normalised(self.warp(mel))

    def _part(self, count: Tensor) -> Tensor:
        """The weight of this process's mean loss, a mean over `count` items.

        DDP averages gradients over processes. With this weight the average is the
        gradient of the mean over all items of all processes, however unevenly the items
        are dealt. The weight is 1 where there is one process.
        """
        everywhere = self.trainer.strategy.reduce(count.clone(), reduce_op="sum")
        return self.trainer.world_size * count.clamp(min=1) / everywhere.clamp(min=1)

    def on_validation_epoch_start(self) -> None:
        self.recordings, self.errors, self.phones = [], 0, 0

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        pcm, keyword = batch["pcm"], batch["keyword"]
        with self._in_single_precision():
            mel, _ = self.model.features(pcm, self.model.frontend.init_state(1))
            log_posteriors = self.model.whole(mel, torch.tensor([mel.shape[1] // self.model.subsampling.stride]))
        posteriors, said = log_posteriors[0].double().cpu().numpy(), batch["targets"].tolist()
        heard = [token for token, _ in best_path(posteriors)]
        self.errors += load_torchaudio().functional.edit_distance(heard, said)
        self.phones += len(said)
        scores, ages, _ = self.scorer.score(posteriors)
        source = TestItem(Path(), "", "negative", (Label(keyword),) if keyword else ())
        self.recordings.append(Replayed.of(source, pcm.shape[1], scores, ages))

    def on_validation_epoch_end(self) -> None:
        heard = gathered((self.recordings, self.errors, self.phones))
        recordings = [recording for part, _, _ in heard for recording in part]
        errors, phones = sum(part[1] for part in heard), sum(part[2] for part in heard)
        self.log("phone_error_rate", errors / max(1, phones), prog_bar=True, sync_dist=True)
        counting = Counting(self.recipe.task.scoring.refractory_frames, self.model.stride)
        rates = rates_at(recordings, list(self.spellings), VALIDATION_FA_PER_HOUR, counting)
        misses, positives = sum(r.misses for r in rates), sum(r.positives for r in rates)
        self.log("misses", float(misses), prog_bar=True, sync_dist=True)
        self.log("frr", misses / max(1, positives), sync_dist=True)
        for rate in rates:
            self.log(f"misses_{rate.keyword.replace(' ', '_')}", float(rate.misses), sync_dist=True)

    def configure_optimizers(self) -> Any:
        return adamw(self, self.recipe.optim)


def adamw(module: torch.nn.Module, optim: OptimConfig) -> dict[str, Any]:
    """AdamW with `warmup_cosine`, as Lightning takes it; only matrices decay."""
    decayed = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    rest = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": optim.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=optim.learning_rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: warmup_cosine(step, optim.warmup_steps, optim.steps)
    )
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def gathered(value: Any) -> list[Any]:
    """The values of all processes, in their order; with one process only its own."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def warmup_cosine(step: int, warmup: int, total: int) -> float:
    """Learning-rate factor: linear to 1 in `warmup` steps, then a half cosine down to 1
    %.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))
