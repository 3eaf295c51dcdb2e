"""The average of the weights over a training."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EMAWeightAveraging


class Average(EMAWeightAveraging):
    """Leaves the averaged weights in the task, also where a training goes on that was
    stopped after its last step: Lightning then passes over all that follows a step,
    and the weights of the last step would be taken.
    """

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Copies them once more; in any other training they are there already."""
        self.on_train_end(trainer, pl_module)
