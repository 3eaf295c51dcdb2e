"""The loss of a training step: CTC over the tokens, and the further losses that the
recipe weighs.

    L = CTC(tokens) + word_weight CE(words) + decoder_weight CE(decoder) + phrase_weight CTC(phrases)
        + teacher_weight KL(teacher, model)

The decoder is for training alone. The phrase branch belongs to the model, for it may be
heard at inference.

Shapes: B rows, T frames of 40 ms, M mel bands, V tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kws.data.scenes.dataset import Batch
from kws.errors import KwsError
from kws.lexicon import Lexicon
from kws.model.acoustic import AcousticModel
from kws.model.config import AcousticConfig
from kws.train.losses.decoder import Decoder
from kws.train.losses.imitation import imitation_loss
from kws.train.losses.phrase_branch import PhraseFinder
from kws.train.losses.word_loss import WordScores, word_loss
from kws.train.recipe import Recipe, TaskConfig
from kws.train.vocabulary import keyword_spellings


class Term(NamedTuple):
    """One loss of a step: its name in the log, its weight, its mean over `things`, and
    their number.
    """

    name: str
    weight: float
    mean: Tensor
    things: Tensor


def refuse_weights(task: TaskConfig) -> None:
    """Raises KwsError for weights that make no sense."""
    for name in ("word_weight", "decoder_weight", "phrase_weight", "teacher_weight"):
        if (weight := getattr(task, name)) < 0:
            raise KwsError(f"{name}={weight}: a loss weighs 0 (it is left out) or more")
    if task.phrase_weight and not task.keywords:
        raise KwsError("phrase_weight asks for keywords to learn as whole phrases: give keywords, or phrase_weight=0")


class Losses(nn.Module):
    """The losses that `recipe` weighs, for a model of the shape `config`; `lexicon`
    spells words and keywords.
    """

    def __init__(self, recipe: Recipe, config: AcousticConfig, lexicon: Lexicon) -> None:
        super().__init__()
        self.recipe = recipe
        keywords = [list(own) for own in keyword_spellings(recipe, lexicon).values()]
        words = [lexicon.spell(word) for word in recipe.task.words]
        self.words = WordScores(words, config.tokens) if words else None
        self.decoder = Decoder(config) if recipe.task.decoder_weight else None
        self.phrases = PhraseFinder(keywords, config.tokens) if recipe.task.phrase_weight else None

    def forward(self, model: AcousticModel, mel: Tensor, batch: Batch) -> list[Term]:
        """The terms of a step, of normalised (B, 4 T, M) mel; CTC over the tokens comes
        first.
        """
        frames = torch.full((len(mel),), mel.shape[1] // model.subsampling.stride)
        targets, lengths = batch["targets"], batch["target_lengths"]
        hidden = model.hidden(mel, frames)
        log_posteriors = model.posteriors(hidden)
        r = self.recipe.task
        terms = [Term("loss", 1.0, ctc_loss(log_posteriors, frames, targets, lengths), lengths.sum())]
        if self.words is not None:
            loss = word_loss(self.words(log_posteriors, frames), batch["words"])
            terms.append(Term("word_loss", r.word_weight, loss, (batch["words"] >= 0).sum()))
        if self.decoder is not None:
            loss = self.decoder.loss(hidden, frames, targets, lengths)
            terms.append(Term("decoder_loss", r.decoder_weight, loss, (lengths + 1).sum()))
        if self.phrases is not None:
            losses = ctc_losses(model.phrase_posteriors(hidden), frames, *self.phrases(targets, lengths))
            # per token as the first term, lest rows with few phrases weigh more than rows with many
            loss = losses.sum() / lengths.sum().clamp(min=1)
            terms.append(Term("phrase_loss", r.phrase_weight, loss, lengths.sum()))
        if "taught" in batch:
            loss = imitation_loss(log_posteriors, batch["taught"]) / lengths.sum().clamp(min=1)
            terms.append(Term("teacher_loss", r.teacher_weight, loss, lengths.sum()))
        return terms


def ctc_loss(log_posteriors: Tensor, frames: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Mean CTC loss per token, from `ctc_losses`."""
    return ctc_losses(log_posteriors, frames, targets, target_lengths).sum() / target_lengths.sum().clamp(min=1)


def ctc_losses(log_posteriors: Tensor, frames: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """CTC loss (Graves et al. 2006) of each row, (B,): log_posteriors (B, T, V), frames
    (B,), targets of all rows in one. A row too short for its targets costs nothing.
    """
    return F.ctc_loss(
        log_posteriors.transpose(0, 1), targets, frames, target_lengths, reduction="none", zero_infinity=True
    )
