"""The attention of a model in numbers: how much of a head's output is its own frame,
where it looks, sinks.

Shapes: B batch, T frames of 40 ms, H heads, M mel bands. Here K is the width of a head
and W the window in frames.

    cosine           cos(y_i, v_i) of the weighted sum and the frame's own value: the attention similarity bias (Zhai
                     2026, "Exclusive Self Attention", arXiv 2603.09078). kept = 1 - cos^2 is the energy that the
                     exclusion leaves, or would leave.
    cosine_centred   the same with v_j - m for v_j, m the mean value of the utterance, and so y_i - (sum_j a_ij) m for
                     y_i: what is left once the mean that all values share (level, channel) is out of the way.
    own              a_ii. elsewhere: what goes to no frame (a null key, a sink): 1 - sum_j a_ij.
    entropy          -sum_j p_ij log p_ij in nats, p_ij = a_ij / sum_j a_ij; entropy_share: over log(keys that i sees).
    distance         sum_j p_ij |i - j|, in frames.
    column           c = max_j sum_i a_ij, over all frames i: the most attention that one key receives, which stands in
                     bounds of the Lipschitz constant.
    received         of a key: sum_i a_ij over what uniform attention of the same frames i would give it.
                     column_over_uniform is its largest, sink_keys the share of keys with more than 5, the first frame
                     apart (Yu et al. 2024, "Unveiling and Harnessing Hidden Attention Sinks", arXiv 2406.15765, whose
                     5 / N is for causal attention over N tokens), sound_correlation its correlation with the level of
                     the key's frame.
    sink_share       the largest mean of a_ij over the frames i that see a key j. first_share: that mean for the first
                     frame of the stream, itself left out; first_over_uniform: over what uniform attention gives it.

The first W - 1 frames of a stream see fewer keys than the others. They count in
`column`, which is a property of the whole map, and in what concerns the first frame,
which only they see; they are left out of everything else. Likewise a key is judged
(received, sink_share) where no key is seen by more of the counting frames: near the
ends only some of a key's viewers count, those close to it or those far away, which
would be mistaken for a liking.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from kws.errors import KwsError
from kws.model.acoustic import AcousticModel
from kws.model.encoder import Block
from kws.model.mixers.attention import Observation

QUANTITIES = (
    "cosine",
    "cosine_centred",
    "kept",
    "own",
    "elsewhere",
    "entropy",
    "entropy_share",
    "distance",
    "column",
    "column_over_uniform",
    "sink_share",
    "sink_keys",
    "first_share",
    "first_over_uniform",
    "sound_correlation",
)
_SINK = 5.0  # times uniform attention
_ROUNDING = 1e-12  # relative size of a product of two float32 that should have been 0
_TINY = 1e-30  # instead of a division by zero: 0 / _TINY = 0


@dataclass(frozen=True)
class Row:
    """One quantity of one head, or of the mean over heads (head None), averaged over
    utterances.

    error: the standard error of the mean over utterances; None of a single one.
    """

    block: int
    head: int | None
    quantity: str
    mean: float
    error: float | None
    utterances: int


def diagnose(model: AcousticModel, utterances: Iterable[Tensor], first: int | None = None) -> list[Row]:
    """The quantities above for every block of `model` whose mixer attends; no rows
    where none does.

    utterances: normalised mel (1, 4 T, M) each. first: the first frame that counts, for
    models with windows of different length to be compared on the same frames; None: the
    first one that sees a whole window. An utterance in which a quantity is not defined
    (a constant level correlates with nothing) does not count in it. Raises KwsError
    without an utterance, or where one is too short for its window.
    """
    found: dict[int, list[dict[str, Tensor]]] = {}
    number = -1
    for number, mel in enumerate(utterances):
        energy = frame_levels(model, mel)
        try:
            for block, observed in observe(model, mel).items():
                found.setdefault(block, []).append(measure(observed, energy, first))
        except KwsError as error:
            raise KwsError(f"utterance {number}: {error}") from error
    if number < 0:
        raise KwsError("there is no utterance to look at: give at least one")
    return [row for block, measured in found.items() for row in _rows(block, measured)]


def observe(model: AcousticModel, mel: Tensor) -> dict[int, Observation]:
    """The attention of each block in one utterance, normalised mel (1, 4 T, M): block
    -> Observation.

    Blocks whose mixer does not attend (an LSTM) are left out.
    """
    if mel.shape[0] != 1:
        raise ValueError(f"one utterance at a time, not {mel.shape[0]}: padding would count as frames")
    frames = mel.shape[1] // model.subsampling.stride
    with torch.no_grad(), _calls(model) as calls:
        model.whole(mel, torch.tensor([frames], device=mel.device))
        return {block: mixer.observe(*given) for block, (mixer, given) in calls.items()}


@contextmanager
def _calls(model: AcousticModel) -> Iterator[dict[int, tuple[Any, tuple[Tensor, ...]]]]:
    """Collects, while open, the arguments with which each attending mixer is called:
    block -> mixer, (input, guide where it has one).

    The model is in evaluation mode meanwhile, since dropout would change the attention.
    """
    calls: dict[int, tuple[Any, tuple[Tensor, ...]]] = {}

    def listen(block: int, mixer: nn.Module) -> RemovableHandle:
        def note(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            guides = [guide for guide in (*given[2:], *named.values()) if guide is not None]  # after state or lengths
            calls.setdefault(block, (mixer, (given[0], *guides)))  # references come through later than what is heard

        return mixer.register_forward_pre_hook(note, with_kwargs=True)

    mixers = [cast("Block", block).mixer for block in model.blocks]
    hooks = [listen(block, mixer) for block, mixer in enumerate(mixers) if hasattr(mixer, "observe")]
    training = model.training
    model.eval()
    try:
        yield calls
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()


def frame_levels(model: AcousticModel, mel: Tensor) -> Tensor:
    """The level of each frame of 40 ms, (T,): the mean of the normalised mel (1, 4 T,
    M) that it is made of.
    """
    return mel[0].mean(-1).unflatten(0, (-1, model.subsampling.stride)).mean(-1)


def measure(observed: Observation, level: Tensor | None = None, first: int | None = None) -> dict[str, Tensor]:
    """The quantities above of one utterance (B = 1), per head: name -> (H,) in float64;
    NaN where one is undefined.

    level: (T,), of the sound of each frame; without it there is no correlation with it.
    first: as in `diagnose`.
    """
    a, y, v = (part[0].detach().double() for part in observed)
    sight = _Sight(a, first)
    return _of_values(a, y, v, sight.rows) | _of_rows(a, sight) | _of_keys(a, sight, level)


class _Sight:
    """The frames that see each other in a map (H, T, T), and the frames that count.

    seen (T, T): frame i sees key j. keys (T,): how many it sees. rows (T,): the frames
    that count.
    """

    def __init__(self, a: Tensor, first: int | None) -> None:
        self.seen = (a > 0).any(0)
        self.keys = self.seen.sum(1).clamp(min=1).double()
        frames = torch.arange(len(self.keys), device=a.device)
        self.rows = self.keys == self.keys.max() if first is None else frames >= first
        if int(self.rows.sum()) < 2:
            kind = (
                f"see the {int(self.keys.max())} keys of a whole window" if first is None else f"follow frame {first}"
            )
            raise KwsError(f"of {len(frames)} frames fewer than two {kind}: give longer utterances, or another `first`")


def _of_values(a: Tensor, y: Tensor, v: Tensor, rows: Tensor) -> dict[str, Tensor]:
    zero = _ROUNDING * v.square().sum(-1).mean(1)[:, None]
    mean = v.mean(1, keepdim=True)
    cosine = _cosine(y, v, zero)[:, rows]
    centred = _cosine(y - a.sum(-1, keepdim=True) * mean, v - mean, zero)[:, rows]
    return {
        "cosine": cosine.mean(1),
        "cosine_centred": centred.mean(1),
        "kept": (1 - cosine.square()).mean(1),
    }


def _cosine(y: Tensor, v: Tensor, zero: Tensor) -> Tensor:
    """(H, T, K), (H, T, K) -> (H, T); 0 where the product of their lengths is no more
    than `zero` (H, 1).
    """
    size = y.norm(dim=-1) * v.norm(dim=-1)
    return torch.where(size > zero, (y * v).sum(-1) / size.clamp(min=_TINY), 0.0)


def _of_rows(a: Tensor, sight: _Sight) -> dict[str, Tensor]:
    """The figures of each query: means over the frames that look."""
    total = a.sum(-1)
    p = a / total.clamp(min=_TINY)[..., None]
    entropy = -torch.special.xlogy(p, p).sum(-1)
    frames = torch.arange(a.shape[-1], device=a.device)
    apart = (frames[:, None] - frames[None, :]).abs()
    of_rows = {
        "own": a.diagonal(dim1=-2, dim2=-1),
        "elsewhere": (1 - total).clamp(min=0),
        "entropy": entropy,
        "entropy_share": entropy / sight.keys.log().clamp(min=_TINY),
        "distance": (p * apart).sum(-1),
    }
    return {name: values[:, sight.rows].mean(1) for name, values in of_rows.items()}


def _of_keys(a: Tensor, sight: _Sight, level: Tensor | None) -> dict[str, Tensor]:
    """The figures of each key: how much attention a frame receives from the frames that
    see it.
    """
    uniform = sight.seen / sight.keys[:, None]
    viewers = sight.seen[sight.rows].sum(0)
    judged = viewers == viewers.max()
    taken = a[:, sight.rows].sum(1)[:, judged]
    received = taken / uniform[sight.rows].sum(0)[judged]
    later = judged.nonzero()[:, 0] > 0
    first = sight.seen[:, 0].clone()
    first[0] = False
    of_keys = {
        "column": a.sum(1).amax(1),
        "column_over_uniform": received.amax(1),
        "sink_share": (taken / viewers[judged]).amax(1),
        "sink_keys": (received[:, later] > _SINK).double().mean(1),
        "first_share": a[:, first, 0].mean(1),
        "first_over_uniform": a[:, first, 0].sum(1) / uniform[first, 0].sum(),
    }
    if level is not None:
        of_keys["sound_correlation"] = _correlation(received, level.double()[judged])
    return of_keys


def _correlation(x: Tensor, level: Tensor) -> Tensor:
    """Pearson's correlation of each row of x (H, N) with level (N,): (H,); NaN where
    one of them does not vary.
    """
    x, level = x - x.mean(1, keepdim=True), level - level.mean()
    size = x.norm(dim=1) * level.norm()
    return torch.where(size > _ROUNDING, x @ level / size.clamp(min=_TINY), math.nan)


def _rows(block: int, measured: Sequence[dict[str, Tensor]]) -> list[Row]:
    """The rows of one block, from the quantities of each utterance."""
    rows = []
    for quantity in QUANTITIES:
        by_head = torch.stack([one[quantity] for one in measured])  # (utterances, H)
        columns: list[tuple[int | None, Tensor]] = [(None, by_head.nanmean(1))]
        columns += list(enumerate(by_head.unbind(1)))
        for head, values in columns:
            defined = values[~values.isnan()]
            if (n := len(defined)) > 0:
                error = float(defined.std()) / math.sqrt(n) if n > 1 else None
                rows.append(Row(block, head, quantity, float(defined.mean()), error, n))
    return rows
