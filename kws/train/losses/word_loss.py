"""The loss of a closed vocabulary: the cross-entropy of words, each scored by its CTC
likelihood.

CTC alone asks that the phones of the spoken word be likely. Where the words of a task
are known, training may also ask that they be likelier than the phones of every other
word: the posterior of a word is its CTC likelihood over the sum of all (maximum mutual
information over whole words; Bahl et al. 1986, Povey et al. 2016).

Shapes: B rows, T frames of 40 ms, V tokens, W words, P spellings of all words.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kws.lexicon import Spelling


class WordScores(nn.Module):
    """Log-likelihoods of the words of a vocabulary and, behind them, of silence: (B, T,
    V) -> (B, W + 1).

    A word with several spellings is as likely as all of them together.
    """

    owners: Tensor
    targets: Tensor
    lengths: Tensor

    def __init__(self, spellings: Sequence[Sequence[Spelling]], tokens: Sequence[str]) -> None:
        super().__init__()
        flat = [(word, spelling) for word, options in enumerate(spellings) for spelling in options]
        flat.append((len(spellings), ()))
        longest = max(len(spelling) for _, spelling in flat)
        targets = [[tokens.index(p) for p in s] + [0] * (longest - len(s)) for _, s in flat]
        self.words = len(spellings) + 1
        self.register_buffer("owners", torch.tensor([word for word, _ in flat]), persistent=False)
        self.register_buffer("targets", torch.tensor(targets), persistent=False)
        self.register_buffer("lengths", torch.tensor([len(spelling) for _, spelling in flat]), persistent=False)

    def forward(self, log_posteriors: Tensor, frames: Tensor) -> Tensor:
        rows, spellings = len(log_posteriors), len(self.owners)
        losses = F.ctc_loss(
            log_posteriors.transpose(0, 1).repeat_interleave(spellings, dim=1),
            self.targets.repeat(rows, 1),
            frames.repeat_interleave(spellings),
            self.lengths.repeat(rows),
            reduction="none",
        ).view(rows, spellings)
        scores = [torch.logsumexp(-losses[:, self.owners == word], dim=1) for word in range(self.words)]
        return torch.stack(scores, dim=1)


def word_loss(scores: Tensor, words: Tensor) -> Tensor:
    """Mean cross-entropy of (B, W + 1) scores over the rows whose word (B,) is known
    (not -1).
    """
    known = words >= 0
    if not known.any():
        return scores.sum() * 0.0
    return F.cross_entropy(scores[known], words[known])
