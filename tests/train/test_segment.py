"""Segment models as published: CTC alone, with a decoder that is dropped at inference, and with a phrase branch."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora import write_corpus

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")
pytest.importorskip("pocketsphinx")

from kws.errors import KwsError  # noqa: E402
from kws.model.acoustic import AcousticConfig, AcousticModel, parameter_count  # noqa: E402
from kws.model.checkpoint import load_checkpoint  # noqa: E402
from kws.runtime.session import OnnxModel  # noqa: E402
from kws.train.initial import first_model, with_phrases  # noqa: E402
from kws.train.losses.decoder import EDGE, Decoder  # noqa: E402
from kws.train.losses.phrase_branch import PhraseFinder  # noqa: E402
from kws.train.losses.total import ctc_losses  # noqa: E402
from kws.train.recipe import Recipe, RunConfig, TaskConfig, TrainingCorpus, default_scoring  # noqa: E402
from kws.train.recipes.override import override  # noqa: E402
from kws.train.trainer import EpochCheckpoint, train  # noqa: E402

TOKENS = ("<blank>", "A", "B", "C")
SMALL = AcousticConfig(width=8, heads=2, expansion=2, dropout=0.0, tokens=TOKENS)
KEYWORDS = ("view glass", "computer")
BOTH = ("decoder_weight=0.5", "phrase_weight=0.5")


def decoder(layers: int = 1) -> Decoder:
    torch.manual_seed(0)
    return Decoder(SMALL, layers).double()


def heard(rows: int, frames: int) -> "torch.Tensor":
    return torch.randn(rows, frames, SMALL.width, generator=torch.Generator().manual_seed(1)).double()


# the decoder by hand: one query at a time, over lists of vectors


def normalised(x, norm):
    return (x - x.mean()) / torch.sqrt(((x - x.mean()) ** 2).mean() + 1e-5) * norm.weight + norm.bias


def attended(query, seen, attention):
    """What one vector takes from the vectors it sees."""
    width = len(query)
    (w_q, w_k, w_v), (b_q, b_k, b_v) = attention.in_proj_weight.split(width), attention.in_proj_bias.split(width)
    q, keys, values = w_q @ query + b_q, [w_k @ s + b_k for s in seen], [w_v @ s + b_v for s in seen]
    mixed = []
    for part in torch.arange(width).split(width // attention.num_heads):
        scores = [math.exp((q[part] @ k[part]).item() / math.sqrt(len(part))) for k in keys]
        mixed.append(sum(score * v[part] for score, v in zip(scores, values, strict=True)) / sum(scores))
    return attention.out_proj.weight @ torch.cat(mixed) + attention.out_proj.bias


def place(number: int) -> "torch.Tensor":
    angles = [number / 10_000 ** (2 * i / SMALL.width) for i in range(SMALL.width // 2)]
    return torch.tensor([f(angle) for angle in angles for f in (math.sin, math.cos)], dtype=torch.float64)


def next_token(model: Decoder, hidden, before: list[int]):
    """Log-probabilities of the token behind `before`, by one who has heard `hidden` (T, D)."""
    xs = [model.embedding.weight[token] + place(i) for i, token in enumerate([EDGE, *before])]
    for layer in model.layers:
        seen = [normalised(x, layer.norm1) for x in xs]
        xs = [x + attended(seen[i], seen[: i + 1], layer.self_attn) for i, x in enumerate(xs)]
        xs = [x + attended(normalised(x, layer.norm2), hidden, layer.multihead_attn) for x in xs]
        inner = [torch.relu(layer.linear1.weight @ normalised(x, layer.norm3) + layer.linear1.bias) for x in xs]
        xs = [x + layer.linear2.weight @ h + layer.linear2.bias for x, h in zip(xs, inner, strict=True)]
    logits = model.head.weight @ normalised(xs[-1], model.norm) + model.head.bias
    return logits - torch.log(torch.exp(logits).sum())


def test_the_decoders_loss_is_what_a_step_by_step_reading_says():
    model, hidden, frames, rows = decoder(layers=2), heard(3, 6), [6, 2, 4], [[1, 2, 3], [3], []]
    with torch.no_grad():
        told = [
            next_token(model, hidden[row, : frames[row]], said[:i])[token].item()
            for row, said in enumerate(rows)
            for i, token in enumerate([*said, EDGE])
        ]
    targets, lengths = torch.tensor([1, 2, 3, 3]), torch.tensor([len(said) for said in rows])
    loss = model.loss(hidden, torch.tensor(frames), targets, lengths).item()
    assert loss == pytest.approx(-sum(told) / len(told), rel=1e-9)


def test_a_token_is_told_from_the_tokens_before_it_alone():
    model, places = decoder(layers=2), 5
    embedded = torch.randn(1, places, SMALL.width).double().requires_grad_()
    logits = model.logits(heard(1, 4), torch.tensor([4]), embedded)
    for i in range(places):
        (gradient,) = torch.autograd.grad(logits[0, i].square().sum(), embedded, retain_graph=True)
        reach = gradient[0].abs().sum(1)
        assert (reach[: i + 1] > 0).all() and (reach[i + 1 :] == 0).all()


def test_padding_frames_never_reach_the_decoder():
    model, hidden = decoder(), heard(2, 6).requires_grad_()
    model(hidden, torch.tensor([6, 4]), torch.tensor([[1, 2], [3, 1]])).square().sum().backward()
    reach = hidden.grad.abs().sum(2)
    assert (reach[0] > 0).all() and (reach[1, :4] > 0).all() and (reach[1, 4:] == 0).all()


def test_a_decoder_wants_whole_heads():
    with pytest.raises(KwsError, match="7 is none of 2"):
        Decoder(AcousticConfig(width=7, heads=2))


# phrases


PHRASES = [[("A", "B"), ("A", "B", "C")], [("B", "A")], [("C",)]]
AS_TOKENS = [[tuple(map(TOKENS.index, s)) for s in options] for options in PHRASES]
filler = st.lists(st.just(4), max_size=3)  # a token that is in no phrase
planted = st.sampled_from([(k + 1, s) for k, options in enumerate(AS_TOKENS) for s in options])


def apart(row: list[tuple[int, tuple[int, ...]]], fillers: list[list[int]]) -> list[int]:
    """The tokens of a row in which at least one filler stands between phrases."""
    return [token for (_, s), more in zip(row, fillers, strict=True) for token in (*s, 4, *more)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(planted, filler), max_size=4), min_size=1, max_size=4))
def test_planted_phrases_are_found_in_order(rows):
    tokens = [apart([phrase for phrase, _ in row], [more for _, more in row]) for row in rows]
    finder = PhraseFinder(PHRASES, (*TOKENS, "D"))
    targets = torch.tensor([token for row in tokens for token in row], dtype=torch.int64)
    labels, lengths = finder(targets, torch.tensor([len(row) for row in tokens]))
    assert lengths.tolist() == [len(row) for row in rows]
    assert labels.tolist() == [label for row in rows for (label, _), _ in row]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), max_size=12))
def test_what_is_found_is_there_and_the_longest(row):
    """By a reading of its own: each way to cut the row, the leftmost and longest phrase first."""
    spelled = {s: k + 1 for k, options in enumerate(AS_TOKENS) for s in options}
    expected, rest = [], tuple(row)
    while rest:
        fits = [s for s in spelled if rest[: len(s)] == s]
        expected += [spelled[max(fits, key=len)]] if fits else []
        rest = rest[len(max(fits, key=len)) if fits else 1 :]
    found, lengths = PhraseFinder(PHRASES, (*TOKENS, "D"))(
        torch.tensor(row, dtype=torch.int64), torch.tensor([len(row)])
    )
    assert found.tolist() == expected and lengths.tolist() == [len(expected)]


def test_the_phrase_branch_learns_a_toy_and_the_devices_scorer_hears_it():
    """Frames of two kinds of sound that grow louder: each phrase fires within its sound, and none where none is."""
    torch.manual_seed(0)
    model = AcousticModel(AcousticConfig(width=8, heads=2, channels=8, tokens=TOKENS, phrases=2))
    sounds = torch.zeros(3, 30, 8)
    order = [[1, 2], [2, 1], []]
    for row, said in enumerate(order):
        for i, label in enumerate(said):
            sounds[row, 5 + 12 * i : 11 + 12 * i, label] = torch.arange(6.0)
    targets, frames = torch.tensor([label for said in order for label in said]), torch.full((3,), 30)
    optimiser = torch.optim.Adam(model.phrase_head.parameters(), lr=0.3)
    for _ in range(100):
        optimiser.zero_grad()
        loss = ctc_losses(model.phrase_posteriors(sounds), frames, targets, torch.tensor([2, 2, 0])).sum()
        loss.backward()
        optimiser.step()
    assert loss.item() < 1.0
    scorer = default_scoring().scorer(("<blank>", *KEYWORDS), [[(keyword,)] for keyword in KEYWORDS])
    for posteriors, said in zip(model.phrase_posteriors(sounds).detach().double().numpy(), order, strict=True):
        scores = scorer.score(posteriors)[0]
        fired = [(label, np.flatnonzero(scores[:, label - 1] > 0.5)) for label in (1, 2)]
        assert {label for label, at in fired if len(at)} == set(said)
        assert all(5 + 12 * said.index(label) <= t < 11 + 12 * said.index(label) for label, at in fired for t in at)


def test_a_phrase_fires_where_its_posterior_peaks():
    scorer = default_scoring().scorer(("<blank>", *KEYWORDS), [[(keyword,)] for keyword in KEYWORDS])
    posteriors = np.log(np.full((20, 3), [0.98, 0.01, 0.01]))
    posteriors[7], posteriors[15] = np.log([0.05, 0.05, 0.9]), np.log([0.1, 0.8, 0.1])
    scores = scorer.score(posteriors)[0]
    assert np.argwhere(scores > 0.5).tolist() == [[7, 1], [15, 0]]
    assert scores[7, 1] == pytest.approx(0.9) and scores[15, 0] == pytest.approx(0.8), "one label: its own posterior"


def test_phrases_are_a_head_more_and_nothing_else():
    plain, branched = (AcousticModel(AcousticConfig(width=8, heads=2, channels=8, phrases=k)) for k in (0, 2))
    extra = set(branched.state_dict()) - set(plain.state_dict())
    assert extra == {"phrase_head.weight", "phrase_head.bias"}
    branched.load_state_dict(branched.state_dict() | plain.state_dict())
    mel, frames = torch.randn(2, 40, 40), torch.tensor([10, 10])
    tokens, phrases = branched.eval().whole_with_phrases(mel, frames)
    assert torch.equal(tokens, plain.eval().whole(mel, frames))
    assert phrases.shape == (2, 10, 3) and torch.allclose(phrases.exp().sum(2), torch.ones(2, 10))
    with pytest.raises(KwsError, match="no phrase branch"):
        plain.whole_with_phrases(mel, frames)


# whole trainings


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_corpus(folder / "words", [*KEYWORDS, "yes", "view of a glass"])
    return folder


def recipe(data: Path, output: Path, *changes: str) -> Recipe:
    corpus = TrainingCorpus("words", "made", "none", "nobody", 1.0)
    base = Recipe("segment", TaskConfig(str(data), (corpus,), None, KEYWORDS), RunConfig(str(output)))
    small = (
        "model.width=16 model.blocks=1 model.heads=2 model.channels=8 model.window_frames=8 model.mixer=xsa+full "
        "scenes.rows=2 scenes.row_seconds=2.0 steps=2 steps_per_epoch=1 validate_every=2 warmup_steps=1 threads=1 "
        "precision=32-true"
    ).split()
    return override(base, [*small, *changes])


def logged(output: Path) -> list[tuple[str, float]]:
    """(name, value) of the losses of all parts of a training, in order."""
    values = []
    for path in sorted((output / "logs").glob("part-*/metrics.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        values += [(name, float(row[name])) for row in rows for name in row if "loss" in name and row[name]]
    return values


@pytest.mark.parametrize("changes", [(), BOTH[:1], BOTH[1:]], ids=["ctc", "decoder", "phrases"])
@pytest.mark.parametrize("mixer", ["bilstm", "sa+full", "xsa+full"])
def test_a_segment_model_trains_in_each_setting(mixer, changes, data, tmp_path):
    path = train(recipe(data, tmp_path, f"model.mixer={mixer}", "steps=1", "validate_every=1", *changes))
    model = load_checkpoint(path).model
    assert all(torch.isfinite(weight).all() for weight in model.state_dict().values())
    assert model.config.phrases == (len(KEYWORDS) if "phrase_weight=0.5" in changes else 0)
    names = {name for name, _ in logged(tmp_path)}
    assert names == {"loss", *(change.replace("weight=0.5", "loss") for change in changes)}


class Killed(Exception):
    pass


def test_a_killed_training_with_both_branches_resumes_to_the_same_numbers(data, tmp_path, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(recipe(data, whole, *BOTH, "steps=4"))
    save = EpochCheckpoint.on_train_epoch_end

    def die(self, trainer, task):
        save(self, trainer, task)
        if trainer.global_step == 2:
            raise Killed

    monkeypatch.setattr(EpochCheckpoint, "on_train_epoch_end", die)
    with pytest.raises(Killed):
        train(recipe(data, killed, *BOTH, "steps=4"))
    monkeypatch.undo()
    train(recipe(data, killed, *BOTH, "steps=4"))
    assert len(list((killed / "logs").glob("part-*"))) == 2, "it went on"
    assert {name for name, _ in logged(whole)} == {"loss", "decoder_loss", "phrase_loss"}
    assert logged(killed) == logged(whole)
    first, second = (load_checkpoint(path / "model.ckpt").model.state_dict() for path in (whole, killed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_decoder_teaches_the_encoder_and_is_gone_at_the_end(data, tmp_path):
    """Two trainings that differ in the decoder alone make models of one form with other weights, encoder included."""
    plain, taught = (train(recipe(data, tmp_path / name, *change)) for name, change in (("p", ()), ("t", BOTH[:1])))
    first, second = (load_checkpoint(path).model for path in (plain, taught))
    assert first.config == second.config and not [name for name in second.state_dict() if "decoder" in name]
    assert not torch.equal(first.subsampling.first.conv.weight, second.subsampling.first.conv.weight)
    assert any("decoder" in name for name in torch.load(tmp_path / "t" / "last.ckpt")["state_dict"])


def test_training_may_start_from_a_model_with_other_phrases(data, tmp_path):
    first = train(recipe(data, tmp_path / "first", BOTH[1]))
    old, fewer = (
        load_checkpoint(first).model,
        recipe(data, tmp_path, BOTH[1], f"start={first}", "keywords=('computer',)"),
    )
    none = fewer.changed(phrase_weight=0.0)
    for phrases, changed in enumerate((none, fewer)):
        model = first_model(with_phrases(changed))
        assert model.config.phrases == phrases and torch.equal(model.head.weight, old.head.weight)


def test_a_model_with_phrases_exports_its_tokens(data, tmp_path):
    to_onnx = pytest.importorskip("kws.export.write")
    path = train(recipe(data, tmp_path, "model.mixer=lstm", "steps=1", "validate_every=1", BOTH[1]))
    to_onnx.write_model(path, tmp_path / "model.onnx")
    info = OnnxModel.load(tmp_path / "model.onnx").info
    plain = AcousticModel(replace(load_checkpoint(path).model.config, phrases=0))
    assert info.parameters == parameter_count(plain) and info.tokens == plain.config.tokens


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["decoder_weight=-1"], "decoder_weight=-1.0: a loss weighs 0"),
        (["phrase_weight=-0.1"], "phrase_weight=-0.1: a loss weighs 0"),
        (["phrase_weight=1", "keywords=()"], "phrase_weight asks for keywords"),
    ],
)
def test_impossible_weights_are_one_sentence_and_leave_nothing(changes, sentence, data, tmp_path):
    with pytest.raises(KwsError, match=sentence):
        train(recipe(data, tmp_path / "out", *changes))
    assert not (tmp_path / "out").exists()
