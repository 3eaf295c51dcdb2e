"""The contract of mixers and of the whole acoustic model: one definition, two executions, no future."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kws.errors import KwsError  # noqa: E402
from kws.model.acoustic import AcousticConfig, AcousticModel, parameter_count  # noqa: E402
from kws.model.mixers import SEGMENT, STREAMING, MixerConfig, make_mixer  # noqa: E402
from kws.model.mixers.xsa import EPSILON, exclude_self  # noqa: E402
from kws.model.streaming import SegmentLayer, StreamingLayer, flatten_state, unflatten_state  # noqa: E402

SMALL = MixerConfig(width=16, heads=2, window_frames=6)
FRAMES = 40


def mixer(name: str, config: MixerConfig = SMALL):
    torch.manual_seed(1)
    made = make_mixer(name, config).double().eval()
    for p in made.parameters():  # a fresh distance bias is zero: a wrong one would go unseen
        torch.nn.init.normal_(p, std=0.5)
    return made


def small_model(name: str) -> AcousticModel:
    torch.manual_seed(2)
    config = AcousticConfig(mixer=name, width=16, blocks=2, heads=2, window_frames=5, channels=8, mels=10)
    return AcousticModel(config).double().eval()


def in_pieces(layer: StreamingLayer, x, cuts: list[int]):
    state, parts = layer.init_state(len(x)), []
    for start, end in zip([0, *cuts], [*cuts, x.shape[1]], strict=True):
        if end > start:
            y, state = layer(x[:, start:end], state)
            parts.append(y)
    return torch.cat(parts, dim=1), state


@pytest.mark.parametrize("name", STREAMING)
@given(cuts=st.lists(st.integers(0, FRAMES), max_size=12).map(sorted), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_stream_equals_whole_for_any_split(name, cuts, seed):
    layer = mixer(name)
    x = torch.randn(2, FRAMES, SMALL.width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    whole, end = layer(x, layer.init_state(2))
    pieces, end_in_pieces = in_pieces(layer, x, cuts)
    assert torch.allclose(pieces, whole, rtol=0, atol=1e-9)
    for a, b in zip(flatten_state(end).values(), flatten_state(end_in_pieces).values(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", STREAMING)
def test_gradient_is_zero_for_the_future_and_beyond_the_look_back(name):
    layer, t = mixer(name), 25
    x = torch.randn(1, FRAMES, SMALL.width, dtype=torch.float64, requires_grad=True)
    layer(x, layer.init_state(1))[0][0, t].sum().backward()
    seen = x.grad[0].abs().sum(dim=1) > 0
    assert not seen[t + 1 :].any()
    assert seen[t]
    if layer.look_back is not None:
        assert not seen[: t - layer.look_back].any()
        assert seen[t - layer.look_back : t + 1].all()


@pytest.mark.parametrize("name", STREAMING)
@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_model_stream_equals_whole_and_sees_no_future(name, chunk):
    model = small_model(name)
    pcm = 0.1 * torch.randn(2, 28 * model.stride, dtype=torch.float64)
    whole, _ = model(pcm, model.init_state(2))
    cuts = list(range(0, pcm.shape[1], chunk * model.stride))[1:]
    assert torch.allclose(in_pieces(model, pcm, cuts)[0], whole, rtol=0, atol=1e-9)

    t = 20
    pcm.requires_grad_()
    model(pcm, model.init_state(2))[0][0, t].square().sum().backward()
    seen = pcm.grad[0] != 0
    end = (t + 1) * model.stride
    assert not seen[end:].any()
    assert seen[end - model.stride : end].any()
    assert not pcm.grad[1].any(), "streams of a batch must not meet"
    if model.look_back is not None:
        assert not seen[: max(0, t * model.stride - model.look_back)].any()


@pytest.mark.parametrize("name", ["sa", "xsa"])
def test_float32_stream_equals_whole(name):
    model = small_model(name).float()
    pcm = 0.1 * torch.randn(1, 30 * model.stride)
    whole, _ = model(pcm, model.init_state(1))
    assert torch.allclose(in_pieces(model, pcm, [640 * 3, 640 * 17])[0], whole, rtol=0, atol=1e-5)


def reference_attention(layer, x, exclusive: bool, full: bool) -> np.ndarray:
    """A plain loop over frames and heads in numpy, from the formulas."""
    p = layer.projections
    w = {name: value.detach().numpy() for name, value in p.named_parameters()}
    q, k, v = np.split(x @ w["inputs.weight"].T, 3, axis=-1)
    out = np.zeros_like(x)
    for i in range(len(x)):
        heads = []
        for h in range(p.heads):
            part = slice(h * p.head_width, (h + 1) * p.head_width)
            js = range(len(x)) if full else range(max(0, i - layer.window + 1), i + 1)
            place = [np.clip(i - j, -layer.window, layer.window) + layer.window if full else i - j for j in js]
            s = [
                q[i, part] @ k[j, part] / np.sqrt(p.head_width) + w["distance_bias"][h, d]
                for j, d in zip(js, place, strict=True)
            ]
            a = np.exp(s - np.max(s))
            y = (a / a.sum()) @ v[list(js), part]
            if exclusive:
                y = y - (y @ v[i, part]) / (v[i, part] @ v[i, part] + EPSILON) * v[i, part]
            heads.append(y)
        out[i] = np.concatenate(heads) @ w["output.weight"].T + w["output.bias"]
    return out


@pytest.mark.parametrize(("name", "exclusive"), [("sa", False), ("xsa", True)])
def test_attention_is_its_formula(name, exclusive):
    x = torch.randn(1, 17, SMALL.width, dtype=torch.float64)
    layer, full = mixer(name), mixer(f"{name}_full")
    streamed = layer(x, layer.init_state(1))[0][0].detach().numpy()
    assert np.abs(streamed - reference_attention(layer, x[0].numpy(), exclusive, full=False)).max() < 1e-10
    whole = full(x, torch.tensor([17]))[0].detach().numpy()
    assert np.abs(whole - reference_attention(full, x[0].numpy(), exclusive, full=True)).max() < 1e-10


def test_xsa_is_orthogonal_to_its_own_value():
    y, v = torch.randn(50, 8), torch.randn(50, 8)
    z = exclude_self(y, v)
    cosine = (z * v).sum(-1) / (z.norm(dim=-1) * v.norm(dim=-1))
    assert cosine.abs().max() < 1e-6


def test_xsa_passes_nothing_on_the_first_frame_of_a_stream():
    layer = mixer("xsa")
    x = torch.randn(1, 3, SMALL.width, dtype=torch.float64)
    first = layer(x, layer.init_state(1))[0][0, 0]
    assert torch.allclose(first, layer.projections.output.bias, atol=1e-5)


@pytest.mark.parametrize("name", SEGMENT)
def test_segment_mixers_say_so_and_ignore_padding(name):
    layer = mixer(name)
    assert isinstance(layer, SegmentLayer) and not isinstance(layer, StreamingLayer)
    x = torch.randn(2, 12, SMALL.width, dtype=torch.float64)
    longer = torch.cat([x, torch.randn(2, 5, SMALL.width, dtype=torch.float64)], dim=1)
    alone, padded = layer(x, torch.tensor([12, 12])), layer(longer, torch.tensor([12, 12]))
    assert torch.allclose(alone, padded[:, :12], atol=1e-9)


def test_a_model_of_a_segment_mixer_has_no_stream_state():
    model = small_model("bilstm")
    mel = torch.randn(2, 40, 10, dtype=torch.float64)
    assert model.whole(mel, torch.tensor([10, 8])).shape == (2, 10, 40)
    with pytest.raises(KwsError, match="cannot stream"):
        model.init_state(1)


def test_all_mixers_have_the_parameters_of_attention_within_two_percent():
    sizes = {
        name: parameter_count(make_mixer(name, MixerConfig(width=128, heads=4, window_frames=32)))
        for name in STREAMING | SEGMENT
    }
    assert max(sizes.values()) / min(sizes.values()) < 1.02, sizes


def test_unknown_mixer_names_the_known():
    with pytest.raises(ValueError, match="xsa"):
        make_mixer("xas", SMALL)


def test_state_round_trip():
    state = small_model("xsa").init_state(3)
    flat = flatten_state(state)
    assert "blocks.1.mixer.kv" in flat and all(not t.any() and len(t) == 3 for t in flat.values())
    again = unflatten_state(state, list(flat.values()))
    assert type(again) is type(state) and flatten_state(again).keys() == flat.keys()
