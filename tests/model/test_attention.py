"""Attention is its formula: every kind and every switch against plain loops in numpy."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kws.model.mixers import MixerConfig, make_mixer, parse_spec  # noqa: E402
from kws.model.mixers.heads import toeplitz  # noqa: E402
from kws.model.mixers.xsa import CENTRED_SHARE, EPSILON, exclude  # noqa: E402

SMALL = MixerConfig(width=12, heads=3, window_frames=5)
FRAMES = 17
WINDOWED = (
    "sa xsa xsa+gate xsa+centre xsa+null xsa+sink sa+null+sink sa+nodiag xsa+nodiag+sink sa+offdir+gate sa+prev "
    "approximate approximate+xsa+null+sink approximate+nodiag nonapproximate nonapproximate+xsa+null+centre "
    "random random+null+prev fixed+xsa+sink+nodiag static static+xsa+null+gate"
).split()
FULL = "sa+full xsa+full xsa+full+centre+gate sa+full+null+sink sa+full+nodiag+prev sa+full+offdir".split()


def made(spec: str, config: MixerConfig = SMALL):
    """A mixer with lively weights: a fresh distance bias, sink and gate are zero, and a wrong one would go unseen."""
    torch.manual_seed(1)
    mixer = make_mixer(spec, config).double().eval()
    for p in mixer.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return mixer


def noise(seed: int, frames: int = FRAMES):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, frames, SMALL.width, dtype=torch.float64, generator=generator)


def guide_of(mixer):
    """What the mixer reads beside its input, where it reads something."""
    frames = {"": 0, "front": FRAMES}.get(mixer.reads, SMALL.window_frames)
    return noise(8, frames) if frames else None


def outcome(spec: str, mixer, x, guide) -> np.ndarray:
    if parse_spec(spec).switches.full:
        return mixer(x, torch.tensor([x.shape[1]]), guide)[0].detach().numpy()
    return mixer(x, mixer.init_state(1), guide)[0][0].detach().numpy()


def silu(x):
    return x / (1 + np.exp(-x))


class Reference:
    """One head at a time, one frame at a time, from the formulas."""

    def __init__(self, spec: str, mixer, x, guide) -> None:
        self.base, self.on = parse_spec(spec).base, parse_spec(spec).switches
        self.window, self.frames = mixer.window, x.shape[1]
        self.w = {name.split(".")[-1]: value.detach().numpy() for name, value in mixer.exclusion.state_dict().items()}
        self.w |= {name: value.detach().numpy() for name, value in mixer.projections.named_parameters()}
        x, self.size = x[0].numpy(), SMALL.width // SMALL.heads
        w_q, w_k, w_v = np.split(self.w["inputs.weight"], 3)
        guide = x if guide is None else guide[0].numpy()
        self.q, self.k, self.v = guide @ w_q.T, guide @ w_k.T, x @ w_v.T
        if self.base == "nonapproximate":
            self.q = silu(self.q)

    def likes(self, h: int, i: int, j: int) -> float:
        """The weight of frame j for frame i before it is normalised."""
        part = slice(h * self.size, (h + 1) * self.size)
        if self.base in ("random", "fixed"):
            s = self.q[-1, part] @ self.k[self.window - 1 - (i - j), part]
        elif j < 0:  # a fresh cache holds zeros
            s = 0.0
        elif self.base == "nonapproximate":
            s = self.q[j, part] @ self.k[j, part]
        else:
            s = self.q[i, part] @ self.k[j, part]
        distance = np.clip(i - j, -self.window, self.window) + self.window if self.on.full else i - j
        if self.on.nodiag and i == j:
            return 0.0
        return self.kernel(s / np.sqrt(self.size)) * np.exp(self.w["distance_bias"][h, distance])

    def kernel(self, s: float) -> float:
        return 1 + s + s**2 / 2 if self.base == "approximate" else np.exp(s)

    def likes_null(self, h: int, i: int) -> float:
        part = slice(h * self.size, (h + 1) * self.size)
        q = self.q[-1 if self.base in ("random", "fixed") else i, part]
        q = np.ones(1) if self.base == "nonapproximate" else q
        return self.kernel(q @ self.w["null_key"][h] / np.sqrt(self.size))

    def head(self, h: int, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights over all frames, the weighted sum, and what the exclusion leaves of it."""
        v = self.v[:, h * self.size : (h + 1) * self.size]
        first = 0 if self.on.full else i - self.window + 1
        js = np.arange(self.frames) if self.on.full else np.arange(max(0, first), i + 1)
        a = np.zeros(self.frames)
        a[js] = [self.likes(h, i, j) for j in js]
        before = sum(self.likes(h, i, j) for j in range(first, 0))
        null = self.likes_null(h, i) if self.on.null or self.on.nodiag else 0.0
        total = before + a.sum() + null + (np.exp(self.w["sink"][h, 0]) if self.on.sink else 0.0)
        a = a / total
        y = a @ v + (null / total * self.w["null_value"][h] if null else 0.0)
        u = np.zeros(self.size)
        if self.on.xsa:
            u = v[i] - (v[js].sum(axis=0) / (len(js) if self.on.full else self.window) if self.on.centre else 0.0)
        elif self.on.offdir:
            u = self.w["direction"][h]
        elif self.on.prev and i:
            u = v[i - 1]
        gate = np.tanh(self.w["alpha"][h]) if self.on.gate else 1.0
        epsilon = EPSILON + (CENTRED_SHARE * v[i] @ v[i] if self.on.xsa and self.on.centre else 0.0)
        return a, y, y - gate * (y @ u) / (u @ u + epsilon) * u

    def layer(self) -> np.ndarray:
        z = [np.concatenate([self.head(h, i)[2] for h in range(SMALL.heads)]) for i in range(self.frames)]
        return np.stack(z) @ self.w["output.weight"].T + self.w["output.bias"]


@pytest.mark.parametrize("spec", [*WINDOWED, *FULL])
def test_attention_is_its_formula(spec):
    mixer, x = made(spec), noise(2)
    guide = guide_of(mixer)
    reference = Reference(spec, mixer, x, guide)
    assert np.abs(outcome(spec, mixer, x, guide) - reference.layer()).max() < 1e-10
    observed = mixer.observe(x, guide)
    for h in range(SMALL.heads):
        for i in range(FRAMES):
            a, y, _ = reference.head(h, i)
            assert np.abs(observed.weights[0, h, i].detach().numpy() - a).max() < 1e-12
            assert np.abs(observed.mixed[0, h, i].detach().numpy() - y).max() < 1e-10
    v = reference.v.reshape(FRAMES, SMALL.heads, -1).transpose(1, 0, 2)
    assert np.abs(observed.values[0].detach().numpy() - v).max() < 1e-12


@pytest.mark.parametrize("spec", ["xsa+full+centre", "sa+full+null+prev", "sa+full+nodiag"])
def test_rows_of_unequal_length_do_not_meet_their_padding(spec):
    mixer, x = made(spec), torch.cat([noise(2), noise(3)])
    together = mixer(x, torch.tensor([FRAMES, FRAMES - 6]))
    alone = mixer(x[1:, : FRAMES - 6], torch.tensor([FRAMES - 6]))
    assert torch.allclose(together[1:, : FRAMES - 6], alone, atol=1e-12)


def test_a_toeplitz_matrix_depends_on_the_difference_alone():
    for queries, keys in [(1, 4), (2, 2), (3, 7), (7, 3)]:
        row = torch.randn(2, queries + keys - 1)
        wanted = [[row[:, queries - 1 - c + j] for j in range(keys)] for c in range(queries)]
        assert torch.equal(toeplitz(row, queries), torch.stack([torch.stack(line, -1) for line in wanted], 1))


def test_xsa_is_orthogonal_to_its_own_value():
    y, v = torch.randn(50, 8), torch.randn(50, 8)
    z = exclude(y, v)
    cosine = (z * v).sum(-1) / (z.norm(dim=-1) * v.norm(dim=-1))
    assert cosine.abs().max() < 1e-6


@pytest.mark.parametrize("spec", ["xsa", "approximate+xsa", "static+xsa", "xsa+full"])
def test_what_leaves_an_xsa_layer_is_orthogonal_to_its_own_value(spec):
    mixer, x = made(spec).float(), noise(4).float()
    with torch.no_grad():
        mixer.projections.output.weight.copy_(torch.eye(SMALL.width))
        mixer.projections.output.bias.zero_()
        z = torch.from_numpy(outcome(spec, mixer, x, None)).unflatten(1, (SMALL.heads, -1))
        y, v = (part[0].transpose(0, 1) for part in mixer.observe(x)[1:])
    assert ((z * v).sum(-1).abs() / (v.norm(dim=-1) * y.norm(dim=-1))).max() < 1e-6
    assert ((y * v).sum(-1).abs() / (v.norm(dim=-1) * y.norm(dim=-1))).min() > 1e-6


def test_the_first_frame_of_a_stream_passes_the_bias_alone_unless_there_is_a_null():
    x = noise(5, 3)
    for spec, alive in [("xsa", False), ("xsa+sink", False), ("xsa+null", True), ("xsa+nodiag", True), ("sa", True)]:
        mixer = made(spec)
        first = outcome(spec, mixer, x, None)[0]
        dead = np.allclose(first, mixer.projections.output.bias.detach().numpy(), atol=1e-5)
        assert dead is not alive, spec


@pytest.mark.parametrize("spec", ["sa+nodiag", "sa+full+nodiag", "random+nodiag"])
def test_without_the_diagonal_no_frame_attends_to_itself(spec):
    mixer = made(spec)
    weights = mixer.observe(noise(2), guide_of(mixer)).weights
    assert not weights.diagonal(dim1=-2, dim2=-1).any()
    assert weights.sum(-1)[..., 1:].min() > 0


@pytest.mark.parametrize("exclusion", ["xsa", "prev", "offdir", "xsa+centre"])
def test_a_fresh_gate_takes_nothing_away(exclusion):
    gated, plain = make_mixer(f"sa+{exclusion}+gate", SMALL), make_mixer("sa", SMALL)
    plain.load_state_dict(gated.state_dict(), strict=False)
    x = noise(6).float()
    assert np.array_equal(outcome("sa", gated, x, None), outcome("sa", plain, x, None))


@pytest.mark.parametrize("size", [1e-4, 1e-3, 1e-2, 1e-1])
def test_where_all_values_are_alike_centring_enlarges_no_rounding(size):
    """In steady sounds centred values are small differences, and an exported graph rounds them otherwise than torch."""
    exclusion = made("xsa+centre").exclusion
    y, rounding = (noise(seed, 1).reshape(1, SMALL.heads, 1, -1) for seed in (1, 3))
    mean, u, rounding = y, size * y, 1e-7 * rounding
    change = exclusion(y, mean + u + rounding, mean=mean) - exclusion(y, mean + u, mean=mean)
    assert (change.norm(dim=-1) < 10 * rounding.norm(dim=-1)).all()


def test_the_first_frame_loses_nothing_to_the_one_before():
    plain, controlled = made("sa"), made("sa+prev")
    controlled.load_state_dict(plain.state_dict())
    x = noise(6)
    first, other = outcome("sa", plain, x, None), outcome("sa", controlled, x, None)
    assert np.array_equal(first[0], other[0])
    assert not np.allclose(first[1:], other[1:], atol=1e-3)


@pytest.mark.parametrize("spec", ["random", "fixed"])
def test_a_map_of_positions_hears_nothing_of_the_sound(spec):
    mixer = made(spec)
    first, other = (mixer.observe(noise(seed), guide_of(mixer)).weights for seed in (2, 3))
    assert torch.equal(first, other)
    rows = [first[0, :, i, i - SMALL.window_frames + 1 : i + 1] for i in range(SMALL.window_frames, FRAMES)]
    assert all(torch.allclose(row, rows[0], atol=1e-12) for row in rows), "the same at all times"


def test_a_map_of_positions_needs_its_reference():
    mixer = made("random")
    for guide in (None, noise(2, SMALL.window_frames + 1)):
        with pytest.raises(ValueError, match=r"give a guide \(1, 5, 12\)"):
            outcome("random", mixer, noise(2), guide)


def test_without_another_guide_static_attention_is_self_attention():
    static, plain = made("static"), made("sa")
    plain.load_state_dict(static.state_dict())
    x = noise(2)
    assert np.array_equal(outcome("sa", static, x, x), outcome("sa", static, x, None))
    assert np.allclose(outcome("sa", static, x, x), outcome("sa", plain, x, None), atol=1e-12)


def test_switches_that_do_not_go_with_the_shape_say_so():
    with pytest.raises(ValueError, match="at least 2 frames"):
        make_mixer("sa+prev", MixerConfig(width=12, heads=3, window_frames=1))
    with pytest.raises(ValueError, match="not a multiple of heads"):
        make_mixer("sa", MixerConfig(width=13, heads=3, window_frames=4))
