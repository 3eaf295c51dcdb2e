"""The contract of mixers and of the whole acoustic model: one definition, two executions, no future."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kws.errors import KwsError  # noqa: E402
from kws.model.acoustic import AcousticModel, parameter_count, verify_own_mixers  # noqa: E402
from kws.model.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from kws.model.config import AcousticConfig  # noqa: E402
from kws.model.contract import ContractError, verify  # noqa: E402
from kws.model.mixers import SEGMENT, STREAMING, MixerConfig, is_streaming, make_mixer, parse_pattern, parse_spec  # noqa: E402
from kws.model.streaming import SegmentLayer, StreamingLayer, flatten_state, unflatten_state  # noqa: E402

SMALL = MixerConfig(width=16, heads=2, window_frames=6)
FRAMES = 40
SWITCHED = ["xsa", "xsa+gate+centre", "sa+nodiag+prev", "xsa+null+sink", "static+xsa+null", "random+null+offdir"]
STREAMED = [*STREAMING, *SWITCHED]
PATTERNS = [*STREAMED, "xsa,static", "fixed+xsa,random,lstm"]
SEGMENTS = [*SEGMENT, "xsa+full", "xsa+full+centre+null+sink+gate"]


def mixer(name: str, config: MixerConfig = SMALL):
    torch.manual_seed(1)
    made = make_mixer(name, config).double().eval()
    for p in made.parameters():  # a fresh distance bias is zero: a wrong one would go unseen
        torch.nn.init.normal_(p, std=0.5)
    return made


def small_model(pattern: str, blocks: int = 2) -> AcousticModel:
    torch.manual_seed(2)
    config = AcousticConfig(mixer=pattern, width=16, blocks=blocks, heads=2, window_frames=5, channels=8, mels=10)
    model = AcousticModel(config).double().eval()
    model.set_reference(torch.randn(30, 10, dtype=torch.float64))
    return model


def reading(layer: StreamingLayer, x):
    """The layer as a function of x and its state, given what it reads besides; sounds lie in x's second half."""
    if layer.reads == "front":
        return x, lambda x, state: layer(x[..., : SMALL.width], state, x[..., SMALL.width :])
    reference = torch.randn(1, SMALL.window_frames, SMALL.width, dtype=torch.float64)
    guide = reference if layer.reads else None
    return x[..., : SMALL.width], lambda x, state: layer(x, state, guide)


def noise(batch: int, seed: int = 0):
    """Input (B, T, 2 D): a mixer's own, and what stands before the first block."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, FRAMES, 2 * SMALL.width, dtype=torch.float64, generator=generator)


def in_pieces(run, state, x, cuts: list[int]):
    parts = []
    for start, end in zip([0, *cuts], [*cuts, x.shape[1]], strict=True):
        if end > start:
            y, state = run(x[:, start:end], state)
            parts.append(y)
    return torch.cat(parts, dim=1), state


def guide_of(layer: StreamingLayer, x):
    """What the layer reads besides its input."""
    if layer.reads == "front":
        return noise(len(x), seed=7)[..., : SMALL.width]
    return torch.randn(1, SMALL.window_frames, SMALL.width, dtype=torch.float64) if layer.reads else None


@pytest.mark.parametrize("name", STREAMED)
@given(seed=st.integers(0, 99))
@settings(max_examples=3, deadline=None)
def test_every_mixer_keeps_the_streaming_law(name, seed):
    layer = mixer(name)
    x = noise(2, seed)[..., : SMALL.width]
    verify(layer, x, guide_of(layer, x), seed=seed)


@pytest.mark.parametrize("name", STREAMED)
@given(cuts=st.lists(st.integers(0, FRAMES), max_size=12).map(sorted), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_stream_equals_whole_for_any_split(name, cuts, seed):
    layer = mixer(name)
    x, run = reading(layer, noise(2, seed))
    whole, end = run(x, layer.init_state(2))
    pieces, end_in_pieces = in_pieces(run, layer.init_state(2), x, cuts)
    assert torch.allclose(pieces, whole, rtol=0, atol=1e-9)
    for a, b in zip(flatten_state(end).values(), flatten_state(end_in_pieces).values(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", STREAMED)
def test_gradient_is_zero_for_the_future_and_beyond_the_look_back(name):
    layer, t = mixer(name), 25
    x, run = reading(layer, noise(1))
    x.requires_grad_()
    run(x, layer.init_state(1))[0][0, t].sum().backward()
    seen = x.grad[0].abs().sum(dim=1) > 0
    assert not seen[t + 1 :].any()
    assert seen[t]
    if layer.look_back is not None:
        assert not seen[: t - layer.look_back].any()
        assert seen[t - layer.look_back : t + 1].all()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_model_stream_equals_whole_and_sees_no_future(pattern):
    model = small_model(pattern, blocks=3 if "," in pattern else 2)
    pcm = 0.1 * torch.randn(2, 28 * model.stride, dtype=torch.float64)
    whole, _ = model(pcm, model.init_state(2))
    for chunk in (1, 2, 7):
        cuts = list(range(0, pcm.shape[1], chunk * model.stride))[1:]
        assert torch.allclose(in_pieces(model, model.init_state(2), pcm, cuts)[0], whole, rtol=0, atol=1e-9)

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


@pytest.mark.parametrize("pattern", ["sa", "xsa", "xsa+centre,approximate"])
def test_float32_stream_equals_whole(pattern):
    model = small_model(pattern).float()
    pcm = 0.1 * torch.randn(1, 30 * model.stride)
    whole, _ = model(pcm, model.init_state(1))
    pieces, _ = in_pieces(model, model.init_state(1), pcm, [640 * 3, 640 * 17])
    assert torch.allclose(pieces, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SEGMENTS)
def test_segment_mixers_say_so_and_ignore_padding(name):
    layer = mixer(name)
    assert isinstance(layer, SegmentLayer) and not isinstance(layer, StreamingLayer)
    x = torch.randn(2, 12, SMALL.width, dtype=torch.float64)
    longer = torch.cat([x, torch.randn(2, 5, SMALL.width, dtype=torch.float64)], dim=1)
    alone, padded = layer(x, torch.tensor([12, 12])), layer(longer, torch.tensor([12, 12]))
    assert torch.allclose(alone, padded[:, :12], atol=1e-9)


def test_a_model_of_a_segment_mixer_has_no_stream_state():
    model = small_model("bilstm,xsa+full")
    mel = torch.randn(2, 40, 10, dtype=torch.float64)
    assert model.whole(mel, torch.tensor([10, 8])).shape == (2, 10, 40)
    with pytest.raises(KwsError, match="cannot stream"):
        model.init_state(1)


def test_all_mixers_have_the_parameters_of_attention_within_two_percent():
    config = MixerConfig(width=128, heads=4, window_frames=32)
    sizes = {name: parameter_count(make_mixer(name, config)) for name in [*STREAMED, *SEGMENTS]}
    assert all(abs(size / sizes["sa"] - 1) < 0.02 for size in sizes.values()), sizes


def test_a_pattern_is_dealt_to_the_blocks_in_turn():
    model = small_model("xsa, static", blocks=3)
    assert [type(block.mixer).__name__ for block in model.blocks] == [
        "SelfAttention", "StaticAttention", "SelfAttention"
    ]  # fmt: skip
    assert [str(spec) for spec in parse_pattern("xsa, static+null+gate+xsa")] == ["sa+xsa", "static+xsa+gate+null"]
    assert parse_spec("xsa+null") == parse_spec("sa+null+xsa")


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("xas", "no mixer is called 'xas'; there are .*xsa"),
        ("", "no mixer is called ''; there are"),
        ("sa,", "no mixer is called ''; there are"),
        ("sa+nul", "no switch of a mixer is called 'nul' .*; there are .*null"),
        ("lstm+xsa", "'lstm' has no switch 'xsa'; it takes none"),
        ("static+full", "'static' has no switch 'full'; it takes .*xsa"),
        ("sa+gate", "nothing to gate: add one of offdir, prev, xsa"),
        ("sa+prev+centre", "nothing to centre: add xsa"),
        ("xsa+prev", "has prev and xsa: a mixer takes one of them"),
        ("xsa,bilstm", r"mixes mixers that stream with mixers of whole segments \(bilstm\)"),
        ("sa+full,lstm", r"of whole segments \(sa\+full\)"),
    ],
)
def test_a_wrong_pattern_is_one_sentence(pattern, sentence):
    with pytest.raises(ValueError, match=sentence):
        is_streaming(pattern)


def test_references_stand_in_the_state_dict_of_the_patterns_that_read_them():
    names = {"random_reference", "fixed_reference"}
    for pattern, wanted in [("xsa,static", set()), ("random", {"random_reference"}), ("fixed,random", names)]:
        assert names & set(small_model(pattern).state_dict()) == wanted


def test_random_references_are_the_same_noise_and_fixed_ones_the_first_frames_of_an_utterance():
    first, other = small_model("random").random_reference, small_model("random,xsa").random_reference
    assert torch.equal(first, other) and 0.7 < first.std() < 1.3
    model, utterance = small_model("fixed"), torch.randn(25, 10, dtype=torch.float64)
    model.set_reference(utterance)
    assert torch.equal(model.fixed_reference, utterance[None, :20])
    with pytest.raises(KwsError, match="needs a reference of 20 hops"):
        model.set_reference(utterance[:19])


@pytest.mark.parametrize(("pattern", "name"), [("fixed", "fixed"), ("xsa,fixed", "fixed"), ("random,static", "random")])
def test_a_reference_is_a_stream_through_the_same_blocks(pattern, name):
    model = small_model(pattern, blocks=3)
    guides = []
    for block in model.blocks:
        block.mixer.register_forward_pre_hook(lambda _, given: guides.append(given[2]) if len(given[0]) == 2 else None)
    pcm = torch.randn(2, 12 * model.stride, dtype=torch.float64)
    model(pcm, model.init_state(2))
    front = model.subsampling(model.features(pcm, model.frontend.init_state(2))[0], model.subsampling.init_state(2))[0]
    reference = start = model._references()[name]
    for block, guide in zip(model.blocks, guides, strict=True):
        wanted = {"": None, "front": front, name: reference}[block.mixer.reads]
        assert guide is None if wanted is None else torch.allclose(guide, block.mixer_norm(wanted), atol=1e-12)
        of_reference = {"": None, "front": start, name: reference}[block.mixer.reads]
        reference, _ = block.stream(reference, block.init_state(1), of_reference)


def test_the_map_of_positions_learns_through_the_blocks_that_carry_the_reference():
    model = small_model("random")
    pcm = torch.randn(1, 8 * model.stride, dtype=torch.float64)
    model(pcm, model.init_state(1))[0].square().sum().backward()
    assert model.blocks[0].mixer.projections.inputs.weight.grad[: 2 * 16].abs().sum() > 0
    assert model.blocks[1].mixer.projections.inputs.weight.grad[: 2 * 16].abs().sum() > 0


def test_state_round_trip():
    state = small_model("xsa").init_state(3)
    flat = flatten_state(state)
    assert "blocks.1.mixer.kv" in flat and all(not t.any() and len(t) == 3 for t in flat.values())
    again = unflatten_state(state, list(flat.values()))
    assert type(again) is type(state) and flatten_state(again).keys() == flat.keys()


class Leaky(StreamingLayer):
    """A running sum, sound as it stands; each subclass breaks one law."""

    look_back = None

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(0.5))

    def init_state(self, batch):
        return (self.zeros(batch, SMALL.width),)

    def forward(self, x, state):
        y = state[0][:, None] + self.scale * x.cumsum(1)
        return y, (y[:, -1],)


class SeesTheFuture(Leaky):
    def forward(self, x, state):
        return x + x.roll(-1, 1), state


class SeesTooFar(Leaky):
    look_back = 3


class IsCutOff(Leaky):
    """Forgets its state: right as a whole, and wrong in chunks."""

    def forward(self, x, state):
        y, after = super().forward(x, (state[0] * 0,))
        return y, after


class Grows(Leaky):
    def forward(self, x, state):
        y, after = super().forward(x, state[:1])
        return y, (after[0].repeat(1, 2)[:, : SMALL.width + x.shape[1] % 2],)


class GrowsSilently(Leaky):
    def forward(self, x, state):
        y, after = super().forward(x, state)
        return y, (after[0].float(),)


class StartsAwake(Leaky):
    def init_state(self, batch):
        return (self.zeros(batch, SMALL.width) + 1,)


class BatchBehind(Leaky):
    def init_state(self, batch):
        return (self.zeros(SMALL.width, batch),)


class Mingles(Leaky):
    def forward(self, x, state):
        return x + x.mean(0, keepdim=True), state


class LosesFrames(Leaky):
    def forward(self, x, state):
        return x[:, ::2], state


class IsInfinite(Leaky):
    def forward(self, x, state):
        return x / (x * 0), state


def test_a_layer_that_keeps_the_law_passes():
    verify(Leaky(), noise(2)[..., : SMALL.width])


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (SeesTheFuture, "no output sees the future; output frame 0 depends on input frame 1"),
        (SeesTooFar, "no output sees more than look_back=3 frames before its own; output frame 20 .* input frame 0"),
        (IsCutOff, "chunks give what the whole gives, here cut at 1, 2, .*; output frame 1 differs by"),
        (Grows, r"a state keeps its names, shapes and types; 0 is \(\(2, 16\).* after frames 0 to 0"),
        (GrowsSilently, "a state keeps its names, shapes and types; .*float32"),
        (StartsAwake, "a fresh state is all zeros; 0 is not"),
        (BatchBehind, r"a state has the batch first; 0 of 2 streams has the shape \(16, 2\)"),
        (Mingles, "rows of a batch never meet; output frame 0 depends on input frame 0 of another row"),
        (LosesFrames, r"T frames become T / stride; \(2, 40, 16\) became \(2, 20, 16\)"),
        (IsInfinite, "outputs are finite; frame 0 is not"),
    ],
)
def test_a_layer_that_breaks_a_law_is_told_which_and_where(layer, sentence):
    with pytest.raises(ContractError, match=f"{layer.__name__} breaks the streaming law: {sentence}"):
        verify(layer(), noise(2)[..., : SMALL.width])


def test_a_segment_layer_has_no_streaming_law():
    with pytest.raises(ContractError, match="no StreamingLayer"):
        verify(mixer("bilstm"), noise(1)[..., : SMALL.width])


OWN = """
import torch
from typing import NamedTuple
from torch import Tensor, nn
from kws.model.mixers import MixerConfig, StreamingMixer, Switches

class PastState(NamedTuple):
    past: Tensor  # (B, 1, D)

class Neighbour(StreamingMixer):
    \"""Each frame beside the one before it.\"""
    look_back = 1
    fits = frozenset({"gate", "xsa"})

    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__(config, switches)
        self.both = nn.Linear(2 * config.width, config.width)
        self.width = config.width

    def init_state(self, batch: int) -> PastState:
        return PastState(self.zeros(batch, 1, self.width))

    def forward(self, x, state, guide=None):
        past = torch.cat([state.past.to(x.dtype), x], dim=1)
        return self.both(torch.cat([past[:, :-1], past[:, 1:]], dim=2)), PastState(past[:, -1:])

class Peeks(Neighbour):
    def forward(self, x, state, guide=None):
        return x.roll(-1, 1), state

class Unfinished(StreamingMixer):
    pass

class Wide(Neighbour):
    def __init__(self, config, switches):
        raise ValueError("only 12 wide")

NOTHING = 3
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "a+b.py").write_text(OWN)
    return f"{tmp_path / 'a+b.py'}"


def test_a_mixer_of_ones_own_is_named_by_file_and_class(own, tmp_path):
    model = small_model(f"{own}:Neighbour, {own}:Neighbour+xsa+gate,sa")
    assert [type(block.mixer).__name__ for block in model.blocks] == ["Neighbour", "Neighbour"]
    verify_own_mixers(model.config)
    save_checkpoint(tmp_path / "m.ckpt", model.float(), {}, {}, {})
    again = load_checkpoint(tmp_path / "m.ckpt").model
    assert again.config.mixer == model.config.mixer and type(again.blocks[0].mixer).__name__ == "Neighbour"
    Path(own).unlink()
    with pytest.raises(KwsError, match=r"Neighbour needs the file .*a.b.py, which is not there"):
        load_checkpoint(tmp_path / "m.ckpt")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Missing", "has no class Missing"),
        ("NOTHING", "is no mixer: derive it from"),
        ("Unfinished", "lacks __init__, forward, init_state"),
        ("Wide", "cannot be made: ValueError: only 12 wide"),
        ("Peeks", "Peeks breaks the streaming law: no output sees the future"),
    ],
)
def test_a_mixer_of_ones_own_that_is_none_is_one_sentence(own, name, sentence):
    with pytest.raises(KwsError, match=sentence):
        verify_own_mixers(AcousticConfig(mixer=f"{own}:{name}", width=16, heads=2, window_frames=6))


def test_a_file_that_fails_is_one_sentence(tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(KwsError, match=r"bad.py:Mine cannot be loaded: ZeroDivisionError"):
        make_mixer(f"{tmp_path / 'bad.py'}:Mine", SMALL)


def test_a_switch_that_a_mixer_of_ones_own_lacks_is_refused(own):
    with pytest.raises(ValueError, match="has no switch 'null'; it takes gate, xsa"):
        is_streaming(f"{own}:Neighbour+null")
