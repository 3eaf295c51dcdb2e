"""The streaming law as a check of anybody's layer: what kws/model/streaming.py asks,
tried on an example.

    layer = MyMixer(MixerConfig(width=16, heads=2, window_frames=6), Switches())
    verify(layer, torch.randn(2, 40, 16))

Shapes: B batch, T frames in, T' = T / stride frames out, D width, W window.
"""

import copy
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from kws.errors import KwsError
from kws.model.streaming import State, StreamingLayer, flatten_state

TOLERANCE = 1e-9  # of float64 numbers near 1 that were added up in another order
_SPLITS = 8


class ContractError(KwsError):
    """A layer breaks a law of streaming; `str()` says which law, and where."""


class _Case(NamedTuple):
    """A layer with the example that it is tried on."""

    layer: StreamingLayer
    x: Tensor
    guide: Tensor | None

    def run(self, x: Tensor, state: State, start: int = 0) -> tuple[Tensor, State]:
        """The layer on frames (B, T, D) of the example that begin at frame `start`."""
        if self.guide is None:
            return self.layer(x, state)
        along = self.guide.shape[:2] == self.x.shape[:2]
        return self.layer(x, state, self.guide[:, start : start + x.shape[1]] if along else self.guide)

    def broken(self, law: str, where: str) -> ContractError:
        return ContractError(f"{type(self.layer).__name__} breaks the streaming law: {law}; {where}")


def verify(layer: StreamingLayer, x: Tensor, guide: Tensor | None = None, seed: int = 0) -> None:
    """Check that `layer` is one layer for whole utterances and for chunks, and sees no
    future.

    The laws, tried in float64 on a copy of the layer in evaluation mode:

    - a fresh state is all zeros, each tensor of it with the batch first;
    - T frames become T / stride, all finite;
    - an output frame has exactly no gradient for later input frames, for those beyond
      `look_back`, and for other rows of the batch;
    - a state keeps its names, shapes and types whatever the chunk;
    - chunks of any size give the outputs and the last state of the whole.

    Give the layer random parameters: those that are zero when fresh hide mistakes. T
    should exceed `look_back`, otherwise that law is not tried.

    Args:
        layer: any streaming layer, a mixer for example.
        x: an example input (B, T, D), T a multiple of the layer's stride; B of 2 or
            more tries that rows do not meet.
        guide: the second input of a mixer (`StreamingMixer.reads`): (B, T, D), cut into
            chunks as x is, or a reference (1, W, D).
        seed: of the random splits.

    Raises:
        ContractError: one sentence, which law is broken and where.
    """
    if not isinstance(layer, StreamingLayer):
        raise ContractError(f"{type(layer).__name__} is no StreamingLayer: it has no streaming law to keep")
    case = _Case(copy.deepcopy(layer).double().eval(), x.detach().double(), None if guide is None else guide.double())
    _check_fresh_state(case)
    _check_reach(case)
    with torch.no_grad():
        whole, end = case.run(case.x, case.layer.init_state(len(x)))
        for cuts in _splits(x.shape[1], layer.stride, seed):
            _check_chunks(case, cuts, whole, end)


def _check_fresh_state(case: _Case) -> None:
    for name, tensor in flatten_state(case.layer.init_state(len(case.x))).items():
        shape = tuple(tensor.shape)
        if shape[:1] != (len(case.x),):
            raise case.broken("a state has the batch first", f"{name} of {len(case.x)} streams has the shape {shape}")
        if tensor.any():
            raise case.broken("a fresh state is all zeros", f"{name} is not")


def _check_reach(case: _Case) -> None:
    """Checks, by their gradients, which inputs a few output frames depend on."""
    layer, frames = case.layer, case.x.shape[1]
    x = case.x.clone().requires_grad_()
    along = case.guide is not None and case.guide.shape[:2] == x.shape[:2]
    guide = case.guide.clone().requires_grad_() if case.guide is not None and along else case.guide
    y, _ = case._replace(x=x, guide=guide).run(x, layer.init_state(len(x)))
    if y.shape[:2] != (len(x), frames // layer.stride):
        raise case.broken("T frames become T / stride", f"{tuple(x.shape)} became {tuple(y.shape)}")
    if not y.isfinite().all():
        raise case.broken("outputs are finite", f"frame {_first(~y.isfinite().flatten(2).all(2).all(0))} is not")
    if not y.requires_grad:
        raise case.broken("an output depends on its input", "it has no gradient at all")
    inputs = [x, guide] if guide is not None and along else [x]
    for t in sorted({0, y.shape[1] // 2, 2 * y.shape[1] // 3, y.shape[1] - 1}):
        gradients = torch.autograd.grad(y[0, t].sum(), inputs, retain_graph=True, allow_unused=True)
        seen = torch.zeros(x.shape[:2], dtype=torch.bool)
        for gradient in gradients:
            if gradient is not None:
                seen |= (gradient != 0).any(2)
        _check_seen(case, t, seen)


def _check_seen(case: _Case, t: int, seen: Tensor) -> None:
    """Seen (B, T): the input frames that output frame `t` of the first row depends
    on.
    """
    layer, at = case.layer, f"output frame {t} depends on input frame"
    begins, ends = t * layer.stride, (t + 1) * layer.stride
    if seen[0, ends:].any():
        raise case.broken("no output sees the future", f"{at} {ends + _first(seen[0, ends:])}")
    if seen[1:].any():
        raise case.broken("rows of a batch never meet", f"{at} {_first(seen[1:].any(0))} of another row")
    if layer.look_back is not None and seen[0, : max(0, begins - layer.look_back)].any():
        law = f"no output sees more than look_back={layer.look_back} frames before its own"
        raise case.broken(law, f"{at} {_first(seen[0])}")


def _check_chunks(case: _Case, cuts: Sequence[int], whole: Tensor, end: State) -> None:
    """Streams the example in pieces that end at `cuts`."""
    state = case.layer.init_state(len(case.x))
    fresh = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in flatten_state(state).items()}
    parts, law = [], f"chunks give what the whole gives, here cut at {', '.join(map(str, cuts))}"
    for start, stop in pairwise([0, *cuts, case.x.shape[1]]):
        y, state = case.run(case.x[:, start:stop], state, start)
        parts.append(y)
        after = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in flatten_state(state).items()}
        if after != fresh:
            odd = next(name for name in {**fresh, **after} if fresh.get(name) != after.get(name))
            where = f"{odd} is {fresh.get(odd)} when fresh and {after.get(odd)} after frames {start} to {stop - 1}"
            raise case.broken("a state keeps its names, shapes and types", where)
    wrong = (torch.cat(parts, dim=1) - whole).abs().flatten(2).amax(2).amax(0)
    if not (wrong <= TOLERANCE).all():
        first = _first(~(wrong <= TOLERANCE))
        raise case.broken(law, f"output frame {first} differs by {float(wrong[first]):.1e}")
    for (name, tensor), expected in zip(flatten_state(state).items(), flatten_state(end).values(), strict=True):
        if not torch.allclose(tensor.double(), expected.double(), rtol=0, atol=TOLERANCE):
            raise case.broken(law, f"the last state's {name} differs")


def _splits(frames: int, stride: int, seed: int) -> Iterator[list[int]]:
    """Places to cut: after every `stride` frames, in half, and at random."""
    steps = frames // stride
    yield [step * stride for step in range(1, steps)]
    yield [steps // 2 * stride] if steps > 1 else []
    generator = torch.Generator().manual_seed(seed)
    for _ in range(_SPLITS):
        keep = torch.rand(max(0, steps - 1), generator=generator) < torch.rand(1, generator=generator)
        yield [(step + 1) * stride for step in range(steps - 1) if keep[step]]


def _first(flags: Tensor) -> int:
    """The index of the first true element."""
    return int(flags.nonzero()[0, 0])
