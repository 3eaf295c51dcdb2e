"""Measures the smoothness of a model: local Lipschitz constants of its parts at real
sounds, against length and depth.

Shapes: B utterances, T frames of 40 ms, M mel bands, D width, V tokens.

    mixer l   f_l, one mixer without its residual, at the input that it really gets: (T, D) -> (T, D)
    prefix l  F_l, the subsampled sound to the output of block l: (T, D) -> (T, D)
    model     G, normalised mel to log-posteriors: (4 T, M) -> (T, V)

Every part is measured at the middle T frames of each utterance, so that shorter pieces
lie inside longer ones, by power iteration (jacobian.py: a lower bound of the local
constant), and attention besides by its bounds (bounds.py). A constant says what the
worst infinitesimal change does. What finite ones do is tried on G: noise of random
signs in the mel, and the change of the same length that gradient ascent on the change
of the output finds.

After Castin, Ablin and Peyre 2024, "How Smooth Is Attention?", arXiv 2312.14820, who
measured attention in text models.
"""

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kws.errors import KwsError
from kws.files import read_json, write_text
from kws.lab.smoothness.bounds import Attended, HeadWeights, attention_bounds
from kws.lab.smoothness.jacobian import Function, local_constant
from kws.model.acoustic import AcousticModel
from kws.model.encoder import Block
from kws.model.mixers import parse_pattern
from kws.model.mixers.xsa import EPSILON


@dataclass(frozen=True)
class Sizes:
    """The extent of a measurement.

    frames: T, in frames of 40 ms. iterations, restarts, tolerance: of the power
    iteration. noise: the size of each element of the change that is tried on normalised
    mel. ascent_steps: of the gradient ascent.
    """

    frames: tuple[int, ...] = (25, 50, 100, 200, 400)
    iterations: int = 20
    restarts: int = 2
    tolerance: float = 1e-4
    noise: float = 1e-3
    ascent_steps: int = 5


@dataclass(frozen=True)
class Constant:
    """A lower bound of a local Lipschitz constant; depth counts blocks from 1 (of G:
    all of them).
    """

    part: str  # "mixer", "prefix" or "model"
    depth: int
    frames: int
    utterance: int
    value: float
    converged: bool


@dataclass(frozen=True)
class Bound:
    """Upper bounds of f_l and the quantities in them: see
    kws.lab.smoothness.bounds.Bounds.
    """

    depth: int
    frames: int
    utterance: int
    ours: float
    general: float
    column_sum: float
    query_key: float
    radius: float
    smallest_value: float


@dataclass(frozen=True)
class Response:
    """|G(x + d) - G(x)| / |d| for a random d and for the one of the same length that
    gradient ascent found.
    """

    frames: int
    utterance: int
    noise: float
    adversarial: float


@dataclass(frozen=True)
class Smoothness:
    """All measurements of one model.

    of: a fingerprint of weights, sounds and sizes. double_error: the relative distance
    of one constant of G from the same iteration in double precision.
    """

    of: str
    mixer: str
    window_frames: int
    double_error: float
    constants: tuple[Constant, ...]
    bounds: tuple[Bound, ...]
    responses: tuple[Response, ...]


def measure(model: AcousticModel, mels: Sequence[Tensor], sizes: Sizes, rng: np.random.Generator) -> Smoothness:
    """Measures `model` at `mels`, normalised mel of (1, 4 T, M) each.

    Raises KwsError where there is none, one is shorter than the largest of
    sizes.frames, or a mixer of `model` reads something beside its input: then it is not
    a function of that input alone.
    """
    _check(model, mels, sizes)
    model = copy.deepcopy(model).eval().requires_grad_(False)
    constants: list[Constant] = []
    bounds: list[Bound] = []
    responses: list[Response] = []
    for frames in sizes.frames:
        mel = torch.cat([_middle(mel, frames) for mel in mels])
        for part, depth, f, x in _parts(model, mel):
            found = local_constant(f, x, rng, sizes.iterations, sizes.restarts, sizes.tolerance)
            pairs = enumerate(zip(found.value.tolist(), found.converged.tolist(), strict=True))
            constants += [Constant(part, depth, frames, i, value, settled) for i, (value, settled) in pairs]
            if part == "mixer":
                bounds += _bounds(model, depth, x)
        responses += _responses(model, mel, sizes, rng)
    return Smoothness(
        _fingerprint(model, mels, sizes),
        model.config.mixer,
        model.config.window_frames,
        _double_error(model, _middle(mels[0], min(sizes.frames)), sizes, rng),
        tuple(constants),
        tuple(bounds),
        tuple(responses),
    )


def resume(
    path: Path, model: AcousticModel, mels: Sequence[Tensor], sizes: Sizes, rng: np.random.Generator
) -> Smoothness:
    """The content of `path` if it is of this model, these sounds and these sizes; else
    the result of a measurement, which is written to `path`.
    """
    if read_json(path, dict) is not None:
        found = load(path)
        if found.of == _fingerprint(model, mels, sizes):
            return found
    found = measure(model, mels, sizes, rng)
    write_text(path, json.dumps(asdict(found)))
    return found


def load(path: Path) -> Smoothness:
    """Reads a file that `resume` wrote; KwsError for any other."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        rows = {
            "constants": tuple(Constant(**row) for row in values["constants"]),
            "bounds": tuple(Bound(**row) for row in values["bounds"]),
            "responses": tuple(Response(**row) for row in values["responses"]),
        }
        return Smoothness(**values | rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KwsError(f"{path} holds no measurement of smoothness: remove it, and it is measured again") from error


def _check(model: AcousticModel, mels: Sequence[Tensor], sizes: Sizes) -> None:
    if any(block.mixer.reads for block in _blocks(model)):
        raise KwsError(f"a mixer of {model.config.mixer} reads more than its input: measure models without such mixers")
    if not mels:
        raise KwsError("there is no utterance to measure at: give at least one")
    longest = max(sizes.frames)
    for i, mel in enumerate(mels):
        if mel.shape[1] < 4 * longest:
            raise KwsError(
                f"utterance {i} has {mel.shape[1] // 4} frames of 40 ms, and {longest} are to be measured: "
                f"give longer ones, or smaller sizes"
            )


def _middle(mel: Tensor, frames: int) -> Tensor:
    """The middle (1, 4 T, M) of a longer (1, 4 L, M), beginning at a frame of 40 ms."""
    start = 4 * ((mel.shape[1] // 4 - frames) // 2)
    return mel[:, start : start + 4 * frames]


def _parts(model: AcousticModel, mel: Tensor) -> Iterator[tuple[str, int, Function, Tensor]]:
    """(part, depth, function, point) for everything that is measured at `mel` (B, 4 T,
    M).
    """
    front = model.subsampling(mel, model.subsampling.init_state(len(mel)))[0]
    blocks = _blocks(model)
    x = front
    for depth, block in enumerate(blocks, start=1):
        yield "mixer", depth, _mixer(model, block), block.mixer_norm(x)
        yield "prefix", depth, _prefix(model, blocks[:depth]), front
        x = _prefix(model, [block])(x)
    yield "model", len(blocks), lambda mel: _whole(model, mel), mel


def _blocks(model: AcousticModel) -> list[Block]:
    return [block for block in model.blocks if isinstance(block, Block)]


def _lengths(x: Tensor, stride: int = 1) -> Tensor:
    return torch.full((len(x),), x.shape[1] // stride)


def _mixer(model: AcousticModel, block: Block) -> Function:
    def mixer(x: Tensor) -> Tensor:
        y: Tensor
        if model.streaming:
            y, _ = block.mixer(x, block.mixer.init_state(len(x)))
        else:
            y = block.mixer(x, _lengths(x))
        return y

    return mixer


def _prefix(model: AcousticModel, blocks: Sequence[Block]) -> Function:
    def prefix(x: Tensor) -> Tensor:
        for block in blocks:
            x = block.stream(x, block.init_state(len(x)))[0] if model.streaming else block.segment(x, _lengths(x))
        return x

    return prefix


def _whole(model: AcousticModel, mel: Tensor) -> Tensor:
    return model.whole(mel, _lengths(mel, stride=4))


def _bounds(model: AcousticModel, depth: int, x: Tensor) -> list[Bound]:
    """The bounds at `x` (B, T, D), what the projections of block `depth` read; none
    unless it is plain SA or XSA.
    """
    specs = parse_pattern(model.config.mixer)
    spec = specs[(depth - 1) % len(specs)]
    if spec.base != "sa" or not set(spec.switches.on()) <= {"xsa", "full"}:
        return []
    mixer = _blocks(model)[depth - 1].mixer
    heads = mixer.projections
    query, key, value = heads.inputs.weight.unflatten(0, (3, heads.heads, heads.head_width))
    seen = mixer.observe(x)
    found = attention_bounds(
        HeadWeights(query, key, value, heads.output.weight),
        Attended(x, seen.weights, seen.mixed, seen.values),
        EPSILON if spec.switches.xsa else None,
    )
    rows = zip(*(column.tolist() for column in found), strict=True)
    return [Bound(depth, x.shape[1], i, *row) for i, row in enumerate(rows)]


def _responses(model: AcousticModel, mel: Tensor, sizes: Sizes, rng: np.random.Generator) -> list[Response]:
    """Finite changes of `mel` (B, 4 T, M), all of the length that random signs times
    sizes.noise have.
    """
    change = sizes.noise * torch.from_numpy(rng.choice([-1.0, 1.0], tuple(mel.shape))).to(mel)
    clean = _whole(model, mel)
    length = change.flatten(1).norm(dim=1)
    ratios = []
    for _ in range(sizes.ascent_steps + 1):
        change.requires_grad_()
        moved = (_whole(model, mel + change) - clean).flatten(1).norm(dim=1)
        ratios.append((moved / length).detach())
        (uphill,) = torch.autograd.grad(moved.square().sum(), change)
        change = uphill * (length / uphill.flatten(1).norm(dim=1).clamp(min=1e-30)).view(-1, 1, 1)
    worst = torch.stack(ratios).amax(dim=0)
    pairs = enumerate(zip(ratios[0].tolist(), worst.tolist(), strict=True))
    return [Response(mel.shape[1] // 4, i, noise, adversarial) for i, (noise, adversarial) in pairs]


def _double_error(model: AcousticModel, mel: Tensor, sizes: Sizes, rng: np.random.Generator) -> float:
    """|sigma - sigma64| / sigma64 of G at `mel`, both from the same directions and with
    every iteration made.
    """
    seed = int(rng.integers(2**32))
    exact = copy.deepcopy(model).double()

    def constant(of: AcousticModel, at: Tensor) -> float:
        start = np.random.default_rng(seed)
        found = local_constant(lambda mel: _whole(of, mel), at, start, sizes.iterations, sizes.restarts, tolerance=0.0)
        return found.value.item()

    reference = constant(exact, mel.double())
    return abs(constant(model, mel.float()) - reference) / reference


def _fingerprint(model: AcousticModel, mels: Sequence[Tensor], sizes: Sizes) -> str:
    """A digest of weights, sounds and sizes."""
    digest = hashlib.sha256(repr((model.config, sizes)).encode())
    for tensor in (*model.state_dict().values(), *mels):
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()
