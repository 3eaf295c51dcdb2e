"""A closed vocabulary in training: the same likelihoods as on the device, and a loss that tells words apart."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kws.decoding.ctc import CtcLikelihood  # noqa: E402
from kws.train.losses.word_loss import WordScores, word_loss  # noqa: E402

TOKENS = ("<blank>", "A", "B", "C")
SPELLINGS = [[("A", "B"), ("B", "A")], [("C",)], [("A", "A", "C")]]


def posteriors(rows: int, frames: int, seed: int = 0):
    return torch.randn(rows, frames, 4, generator=torch.Generator().manual_seed(seed)).double().log_softmax(-1)


def test_training_and_the_device_score_words_alike():
    batch = posteriors(5, 9)
    found = WordScores(SPELLINGS, TOKENS)(batch, torch.full((5,), 9)).numpy()
    ids = [[TOKENS.index(t) for t in spelling] for options in SPELLINGS for spelling in options]
    for row, expected in zip(batch.numpy(), found, strict=True):
        each = CtcLikelihood([*ids, []])(row)
        assert expected == pytest.approx([np.logaddexp(each[0], each[1]), *each[2:]])


def test_frames_behind_the_end_of_a_row_count_for_nothing():
    batch, lengths = posteriors(2, 9), torch.tensor([9, 6])
    cut = WordScores(SPELLINGS, TOKENS)(batch[1:, :6], lengths[1:])
    assert torch.allclose(WordScores(SPELLINGS, TOKENS)(batch, lengths)[1:], cut)


def test_the_loss_makes_the_word_that_was_said_the_likeliest():
    logits = torch.zeros(4, 8, 4, requires_grad=True)
    scores, words = WordScores(SPELLINGS, TOKENS), torch.tensor([0, 1, 2, 3])
    optimiser = torch.optim.SGD([logits], lr=5.0)
    for _ in range(60):
        optimiser.zero_grad()
        word_loss(scores(logits.log_softmax(-1), torch.full((4,), 8)), words).backward()
        optimiser.step()
    found = scores(logits.log_softmax(-1), torch.full((4,), 8))
    assert torch.equal(found.argmax(dim=1), words), "the last of them is silence"


def test_rows_of_unknown_words_change_nothing():
    scores = torch.randn(3, 4, requires_grad=True)
    word_loss(scores, torch.tensor([-1, 2, -1])).backward()
    assert scores.grad[1].abs().sum() > 0 and scores.grad[[0, 2]].abs().sum() == 0
    assert word_loss(scores, torch.tensor([-1, -1, -1])).item() == 0
