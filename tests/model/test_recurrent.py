"""Recurrent mixers, low-rank attention on them, and no mixing at all: each is its formula, written again in numpy."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kws.model.acoustic import parameter_count  # noqa: E402
from kws.model.mixers import MixerConfig, make_mixer  # noqa: E402
from kws.model.mixers.xsa import EPSILON  # noqa: E402

SMALL = MixerConfig(width=12, heads=3, window_frames=5)
FRAMES = 17


def made(spec: str, config: MixerConfig = SMALL):
    """A mixer with lively weights, and their numpy values by name."""
    torch.manual_seed(5)
    mixer = make_mixer(spec, config).double().eval()
    for p in mixer.parameters():
        torch.nn.init.normal_(p, std=0.6)
    return mixer, {name: value.detach().numpy() for name, value in mixer.named_parameters()}


def sound(batch: int = 1, frames: int = FRAMES):
    return torch.randn(batch, frames, SMALL.width, dtype=torch.float64, generator=torch.Generator().manual_seed(6))


def streamed(mixer, x) -> np.ndarray:
    return mixer(x, mixer.init_state(len(x)))[0][0].detach().numpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_states(w: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """h_t = (1 - z) n + z h_{t-1}, with n = tanh(W x + b + r (U h + c))."""
    h, states = np.zeros(w["gru.weight_hh_l0"].shape[1]), []
    for frame in x:
        r_in, z_in, n_in = np.split(w["gru.weight_ih_l0"] @ frame + w["gru.bias_ih_l0"], 3)
        r_own, z_own, n_own = np.split(w["gru.weight_hh_l0"] @ h + w["gru.bias_hh_l0"], 3)
        z = sigmoid(z_in + z_own)
        h = (1 - z) * np.tanh(n_in + sigmoid(r_in + r_own) * n_own) + z * h
        states.append(h)
    return np.stack(states)


def test_gru_is_its_formula():
    mixer, w = made("gru")
    x = sound()
    wanted = gru_states(w, x[0].numpy()) @ w["output.weight"].T + w["output.bias"]
    assert np.abs(streamed(mixer, x) - wanted).max() < 1e-12


def test_no_mixing_is_its_formula():
    mixer, w = made("none")
    x = sound()
    gate, up = x[0].numpy() @ w["gate.weight"].T, x[0].numpy() @ w["up.weight"].T
    wanted = (gate * sigmoid(gate) * up) @ w["down.weight"].T + w["down.bias"]
    assert np.abs(streamed(mixer, x) - wanted).max() < 1e-12


def lowrank(w: dict[str, np.ndarray], x: np.ndarray, window: int, share: np.ndarray) -> np.ndarray:
    """Frame by frame and head by head; `share` (H,) of the projection on h_t is taken away."""
    h = gru_states(w, x)
    out = []
    for t in range(len(x)):
        past = range(max(0, t - window + 1), t + 1)
        s = np.array([np.tanh((w["query.weight"] @ h[t]) * (w["key.weight"] @ h[j])) for j in past]).T
        s = s / np.linalg.norm(s, axis=0)
        a = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
        y = [sum(a[r, n] * h[j] for n, j in enumerate(past)) for r in range(len(s))]
        z = [y[r] - share[r] * (y[r] @ h[t]) / (h[t] @ h[t] + EPSILON) * h[t] for r in range(len(s))]
        out.append(w["output.weight"] @ np.concatenate([h[t], *z]) + w["output.bias"])
    return np.stack(out)


@pytest.mark.parametrize("spec", ["lowrank", "lowrank+xsa", "lowrank+xsa+gate"])
def test_low_rank_attention_is_its_formula(spec):
    mixer, w = made(spec)
    x = sound()
    share = np.tanh(w["exclusion.alpha"]) if "gate" in spec else np.full(SMALL.heads, float("xsa" in spec))
    wanted = lowrank(w, x[0].numpy(), SMALL.window_frames, share)
    assert np.abs(streamed(mixer, x) - wanted).max() < 1e-12


def test_chunks_of_bilstm_are_bilstms_of_chunks():
    chunked, _ = made("bilstm_chunked")
    alone, _ = made("bilstm")
    alone.load_state_dict(chunked.state_dict())
    x, window, lengths = sound(2), SMALL.window_frames, torch.tensor([FRAMES, 9])
    whole = chunked(x, lengths)
    for row, start in [(0, 0), (0, 5), (0, 10), (0, 15), (1, 0), (1, 5)]:
        end = min(start + window, int(lengths[row]))
        part = alone(x[row : row + 1, start:end], torch.tensor([end - start]))
        assert torch.allclose(whole[row, start:end], part[0], atol=1e-12)


def test_a_chunk_of_bilstm_sees_itself_alone():
    mixer, _ = made("bilstm_chunked")
    x = sound().requires_grad_()
    mixer(x, torch.tensor([FRAMES]))[0, 7].sum().backward()
    seen = x.grad[0].abs().sum(dim=1) > 0
    assert seen.tolist() == [5 <= t < 10 for t in range(FRAMES)]


@pytest.mark.parametrize("width", [64, 96, 128, 144, 256])
@pytest.mark.parametrize("name", ["lstm", "gru", "none", "lowrank", "memory", "bilstm", "bilstm_chunked"])
def test_every_width_has_the_parameters_of_attention(name, width):
    count = parameter_count(make_mixer(name, MixerConfig(width, heads=4, window_frames=32)))
    assert abs(count / (4 * width * width + width) - 1) < 0.02
