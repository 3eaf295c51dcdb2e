"""The memory mixer is its recurrence, whatever the blocks; its state stays bounded; it learns what it is told."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kws.model.mixers import MixerConfig, make_mixer  # noqa: E402
from kws.model.mixers.memory import MemoryState, delta_rule  # noqa: E402
from kws.model.mixers.xsa import EPSILON  # noqa: E402

SMALL = MixerConfig(width=12, heads=2, window_frames=5)


def made(spec: str):
    torch.manual_seed(3)
    mixer = make_mixer(spec, SMALL).double().eval()
    for p in mixer.parameters():
        torch.nn.init.normal_(p, std=0.7)
    return mixer, {name: value.detach().numpy() for name, value in mixer.named_parameters()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def recurrence(w: dict[str, np.ndarray], x: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Frame by frame, head by head, from the formulas; `share` (H,) of the projection on v_t is taken away."""
    heads, width = w["gates"].shape[:2]
    memory, momentum = np.zeros((2, heads, width, width))
    eta = sigmoid(w["momentum"])
    out = []
    for frame in x:
        q, k, v = (w["inputs.weight"] @ frame).reshape(3, heads, width)
        z = []
        for h in range(heads):
            query, key = q[h] / np.linalg.norm(q[h]), k[h] / np.linalg.norm(k[h])
            alpha, gate = sigmoid(v[h] @ w["gates"][h] + w["gate_bias"][h])
            theta = (1 - eta[h]) * gate / 2
            gradient = 2 * np.outer(memory[h] @ key - v[h], key)
            momentum[h] = eta[h] * momentum[h] - theta * gradient
            memory[h] = (1 - alpha) * memory[h] + momentum[h]
            y = memory[h] @ query
            z.append(y - share[h] * (y @ v[h]) / (v[h] @ v[h] + EPSILON) * v[h])
        out.append(w["output.weight"] @ np.concatenate(z) + w["output.bias"])
    return np.stack(out)


@pytest.mark.parametrize("spec", ["memory", "memory+xsa", "memory+xsa+gate"])
@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 53])
def test_memory_is_its_recurrence(spec, frames):
    mixer, w = made(spec)
    x = torch.randn(1, frames, SMALL.width, dtype=torch.float64)
    share = np.tanh(w["exclusion.alpha"]) if "gate" in spec else np.full(SMALL.heads, float("xsa" in spec))
    y = mixer(x, mixer.init_state(1))[0][0].detach().numpy()
    assert np.abs(y - recurrence(w, x[0].numpy(), share)).max() < 1e-10


def test_what_was_told_once_is_known():
    """A full step without momentum or forgetting: afterwards the memory answers every key with its newest value."""
    k = torch.eye(4, dtype=torch.float64)[[0, 1, 2, 1]][None, None]
    v = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    keep, step = torch.zeros(1, 1, 4, dtype=torch.float64), torch.ones(1, 1, 4, dtype=torch.float64)
    none = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    log_eta = torch.full((1, 1), -1e3, dtype=torch.float64)
    _, after = delta_rule(MemoryState(none, none), log_eta, k, k, v, keep, step)
    assert torch.allclose(after.memory[0, 0, :3], v[0, 0, [0, 3, 2]], atol=1e-12)
    assert not after.memory[0, 0, 3].any()


@pytest.mark.parametrize("eta", [0.0, 0.5, 0.99])
def test_thousands_of_frames_keep_the_state_bounded(eta):
    """The hardest gates: no forgetting, full steps; keys that repeat, alternate and turn."""
    frames, width = 4000, 4
    generator = torch.Generator().manual_seed(1)
    angle = torch.cumsum(torch.randn(frames, width, generator=generator) * torch.linspace(0, 1, width), 0).double()
    k = torch.nn.functional.normalize(torch.sin(angle), dim=-1)[None, None]
    v = torch.randn(1, 1, frames, width, generator=generator).clamp(-1, 1).double()
    keep = torch.zeros(1, 1, frames, dtype=torch.float64)
    log_eta = torch.full((1, 1), eta, dtype=torch.float64).clamp(min=1e-30).log()
    state = MemoryState(*torch.zeros(2, 1, 1, width, width, dtype=torch.float64))
    _, state = delta_rule(state, log_eta, k, k, v, keep, torch.full_like(keep, 1 - eta))
    assert state.memory.abs().max() < 30


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="not a multiple"):
        make_mixer("memory", MixerConfig(width=10, heads=4, window_frames=4))
