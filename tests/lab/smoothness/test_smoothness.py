"""Local Lipschitz constants against dense Jacobians, bounds that are never crossed, and what is made of both."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
stats = pytest.importorskip("scipy.stats")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kws.errors import KwsError  # noqa: E402
from kws.lab.smoothness.bounds import Attended, HeadWeights, attention_bounds  # noqa: E402
from kws.lab.smoothness.growth import correlation, exponents, spreads  # noqa: E402
from kws.lab.smoothness.jacobian import Linearised, local_constant  # noqa: E402
from kws.lab.smoothness.measure import Constant, Sizes, Smoothness, load, measure, resume  # noqa: E402
from kws.model.acoustic import AcousticConfig, AcousticModel  # noqa: E402
from kws.model.mixers import MixerConfig, is_streaming, make_mixer  # noqa: E402

KINDS = ["sa", "xsa", "lstm", "sa+full", "xsa+full", "bilstm", "bilstm_chunked"]
QUICK = Sizes(frames=(4, 12), iterations=12, restarts=1, ascent_steps=3)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(seed: int, *shape: int):
    return torch.from_numpy(rng(seed).standard_normal(shape))


def dense(f, x):
    """The largest singular value of the whole Jacobian at one row (1, ...)."""
    jacobian = torch.autograd.functional.jacobian(f, x).reshape(-1, x.numel())
    return torch.linalg.matrix_norm(jacobian, ord=2).item()


def mixer_function(name: str):
    torch.manual_seed(3)
    mixer = make_mixer(name, MixerConfig(width=8, heads=2, window_frames=3)).double()
    for p in mixer.parameters():
        torch.nn.init.normal_(p, std=0.6)
    if is_streaming(name):
        return lambda x: mixer(x, mixer.init_state(len(x)))[0]
    return lambda x: mixer(x, torch.full((len(x),), x.shape[1]))


def tiny_model(name: str, seed: int = 2, mels: int = 5) -> AcousticModel:
    torch.manual_seed(seed)
    return AcousticModel(AcousticConfig(mixer=name, width=8, blocks=2, heads=2, window_frames=5, channels=6, mels=mels))


def sounds(count: int = 3, frames: int = 14):
    return [normal(i, 1, 4 * frames, 5).float() for i in range(count)]


@pytest.mark.parametrize("name", KINDS)
def test_power_iteration_finds_the_largest_singular_value_of_a_mixer(name):
    f, x = mixer_function(name), normal(1, 3, 7, 8)
    found = local_constant(f, x, rng(), iterations=56, tolerance=1e-7)
    expected = [dense(f, row[None]) for row in x]
    assert found.value.tolist() == pytest.approx(expected, rel=1e-6)
    assert found.converged.all()


@pytest.mark.parametrize("name", ["xsa", "bilstm"])
@pytest.mark.parametrize("steps", [2, 3, 6])
def test_estimates_lie_between_plain_power_iteration_and_the_constant(name, steps):
    f, x = mixer_function(name), normal(1, 3, 7, 8)
    found = local_constant(f, x, rng(4), iterations=steps, restarts=1, tolerance=0.0)
    start = rng(4).standard_normal((3, 56))
    for row, value, first in zip(x, found.value.tolist(), start, strict=True):
        jacobian = torch.autograd.functional.jacobian(f, row[None]).reshape(56, 56).numpy()
        v = first / np.linalg.norm(first)
        for _ in range(steps - 1):
            v = jacobian.T @ (jacobian @ v)
            v /= np.linalg.norm(v)
        assert np.linalg.norm(jacobian @ v) <= value * (1 + 1e-9)
        assert value <= np.linalg.norm(jacobian, 2) * (1 + 1e-9)
    assert found.steps == steps


@pytest.mark.parametrize("name", KINDS)
def test_both_products_are_those_of_the_jacobian(name):
    f, x, v = mixer_function(name), normal(1, 1, 7, 8), normal(2, 1, 7, 8)
    jacobian = torch.autograd.functional.jacobian(f, x).reshape(56, 56)
    products = Linearised(f, x)
    assert torch.allclose(products.product(v).flatten(), jacobian @ v.flatten())
    assert torch.allclose(products.transposed(v).flatten(), jacobian.T @ v.flatten())


def test_constant_of_a_linear_map_is_known():
    turn, _ = torch.linalg.qr(normal(0, 6, 6))
    matrix = turn @ torch.diag(torch.tensor([5.0, 3.0, 2.0, 1.0, 0.5, 0.0], dtype=torch.float64)) @ turn.T
    found = local_constant(lambda x: x @ matrix, normal(1, 2, 6), rng(), tolerance=1e-9)
    assert found.value.tolist() == pytest.approx([5.0, 5.0], rel=1e-9)
    assert found.converged.all()
    assert found.steps <= 7, "six directions are all that there is"


def test_what_has_not_settled_says_so_and_a_constant_function_has_the_constant_zero():
    close = torch.diag(torch.tensor([1.0, 0.8]))
    assert not local_constant(lambda x: x @ close, torch.ones(1, 2), rng(3), iterations=2).converged.any()
    still = local_constant(lambda x: 0 * x, torch.ones(2, 3), rng())
    assert still.value.tolist() == [0.0, 0.0]
    assert still.converged.all()


@pytest.mark.parametrize("asked", [{"iterations": 1}, {"restarts": 0}])
def test_too_little_iteration_is_refused(asked):
    with pytest.raises(ValueError, match="two iterations and one restart"):
        local_constant(lambda x: x, torch.ones(1, 2), rng(), **asked)


def plain_attention(weights: HeadWeights, bias, epsilon: float | None, seen: list):
    """One attention block by its formulas, head by head: (T, D) -> (T, D). Notes maps, sums and values in `seen`."""

    def block(x):
        seen.clear()
        out = []
        for query, key, value, own in zip(weights.query, weights.key, weights.value, bias, strict=True):
            v = x @ value.T
            a = torch.softmax((x @ query.T) @ (x @ key.T).T / query.shape[0] ** 0.5 + own, dim=-1)
            y = a @ v
            seen.append((a.detach(), y.detach(), v.detach()))
            if epsilon is not None:
                y = y - ((y * v).sum(1) / ((v * v).sum(1) + epsilon))[:, None] * v
            out.append(y)
        return torch.cat(out, dim=1) @ weights.output.T

    return block


@given(
    seed=st.integers(0, 10**6),
    frames=st.integers(1, 7),
    heads=st.sampled_from([1, 2, 3]),
    window=st.one_of(st.none(), st.integers(1, 7)),
    scale=st.sampled_from([0.1, 1.0, 3.0]),
    size=st.sampled_from([1e-3, 0.3, 2.0]),
    epsilon=st.sampled_from([None, 1e-6, 0.1, 1e-30]),
)
@settings(max_examples=150, deadline=None)
def test_no_attention_exceeds_its_bounds(seed, frames, heads, window, scale, size, epsilon):
    width = 4
    query, key, value = (scale * normal(seed + i, heads, 2, width) for i in range(3))
    weights = HeadWeights(query, key, value, normal(seed + 3, width, 2 * heads))
    distance = torch.arange(frames)[:, None] - torch.arange(frames)
    hidden = torch.zeros_like(distance, dtype=torch.bool) if window is None else (distance < 0) | (distance >= window)
    bias = torch.where(hidden, -torch.inf, normal(seed + 4, heads, frames, frames))
    x, seen = size * normal(seed + 5, frames, width), []
    block = plain_attention(weights, bias, epsilon, seen)
    block(x)
    maps, sums, values = (torch.stack(parts)[None] for parts in zip(*seen, strict=True))

    bounds = attention_bounds(weights, Attended(x[None], maps, sums, values), epsilon)
    constant = dense(block, x)
    assert constant <= bounds.ours.item() * (1 + 1e-9)
    plain = attention_bounds(weights, Attended(x[None], maps, sums, values))
    assert plain.ours <= plain.general * (1 + 1e-12), "the general bound follows from ours"
    if epsilon is None:
        assert constant <= bounds.general.item() * (1 + 1e-9)
    assert bounds.column_sum.item() <= min(frames, window or frames) + 1e-9
    assert bounds.radius.item() == pytest.approx(x.norm(dim=1).max().item())
    assert bounds.smallest_value.item() == pytest.approx(values.norm(dim=3).min().item())


def test_bounds_are_close_where_one_key_gets_all_attention():
    """A sink: c = n, and the constant itself grows as sqrt(n); nothing in the bound is lost on the value term."""
    one = torch.eye(2, dtype=torch.float64)[None]
    for frames in (4, 16):
        bias = torch.full((1, frames, frames), -torch.inf, dtype=torch.float64)
        bias[..., 0] = 0
        seen = []
        block = plain_attention(HeadWeights(one, one, one, one[0]), bias, None, seen)
        x = 1e-3 * normal(0, frames, 2)
        block(x)
        attended = Attended(x[None], *(part[None, None] for part in seen[0]))
        bounds = attention_bounds(HeadWeights(one, one, one, one[0]), attended)
        assert bounds.column_sum.item() == pytest.approx(frames)
        assert dense(block, x) == pytest.approx(frames**0.5, rel=1e-4)
        assert bounds.ours.item() == pytest.approx(frames**0.5, rel=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_every_part_is_measured_within_its_bound(name):
    found = measure(tiny_model(name), sounds(), QUICK, rng())
    places = {(row.part, row.depth, row.frames, row.utterance) for row in found.constants}
    parts = [("mixer", 1), ("mixer", 2), ("prefix", 1), ("prefix", 2), ("model", 2)]
    assert places == {(*part, n, i) for part in parts for n in QUICK.frames for i in range(3)}
    assert len(found.constants) == len(places)
    attends = "sa" in name
    assert len(found.bounds) == (12 if attends else 0)
    values = {(row.part, row.depth, row.frames, row.utterance): row.value for row in found.constants}
    for bound in found.bounds:
        assert values["mixer", bound.depth, bound.frames, bound.utterance] <= bound.ours
        assert bound.column_sum <= (bound.frames if "full" in name else 5) + 1e-4
    for response in found.responses:
        assert 0 < response.noise <= response.adversarial
        assert response.adversarial <= 1.1 * values["model", 2, response.frames, response.utterance]
    assert found.double_error < 1e-3


def test_constants_are_those_of_the_parts_in_use():
    model, mel = tiny_model("xsa").eval(), sounds(1)[0]
    found = measure(model, [mel], dataclasses.replace(QUICK, frames=(6,), iterations=40, tolerance=1e-6), rng())
    value = {(row.part, row.depth): row.value for row in found.constants}
    crop = mel[:, 16:40]  # the middle 6 of 14 frames
    with torch.no_grad():
        front = model.subsampling(crop, model.subsampling.init_state(1))[0]
        first = model.blocks[0]
        inside = first.stream(front, first.init_state(1))[0]
    second = model.blocks[1]
    norm = second.mixer_norm(inside).detach()
    assert value["mixer", 2] == pytest.approx(
        dense(lambda x: second.mixer(x, second.mixer.init_state(1))[0], norm), rel=1e-3
    )
    assert value["prefix", 1] == pytest.approx(
        dense(lambda x: first.stream(x, first.init_state(1))[0], front), rel=1e-3
    )
    assert value["model", 2] == pytest.approx(dense(lambda x: model.whole(x, torch.tensor([6])), crop), rel=1e-3)


def test_bounds_are_those_of_the_weights_in_use():
    """Of the first block of a whole-context XSA, from its named weights in a plain loop over heads."""
    model, mel = tiny_model("xsa+full").eval(), sounds(1)[0]
    torch.nn.init.normal_(model.blocks[0].mixer.projections.inputs.weight)
    found = measure(model, [mel], dataclasses.replace(QUICK, frames=(6,)), rng()).bounds[0]
    with torch.no_grad():
        crop = mel[:, 16:40]
        front = model.subsampling(crop, model.subsampling.init_state(1))[0]
        x = model.blocks[0].mixer_norm(front)[0].double().numpy()
    weights = {name: p.detach().double().numpy() for name, p in model.blocks[0].mixer.named_parameters()}
    queries, keys, values = np.split(weights["projections.inputs.weight"], 3)
    distance = np.clip(np.subtract.outer(range(6), range(6)), -5, 5) + 5
    squares, columns, largest = 0.0, [], []
    for h, part in enumerate((slice(0, 4), slice(4, 8))):
        score = (x @ queries[part].T) @ (x @ keys[part].T).T / 2 + weights["projections.distance_bias"][h][distance]
        a = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
        v = x @ values[part].T
        gain = max(np.linalg.norm(y) / np.linalg.norm(own) for y, own in zip(a @ v, v, strict=True))
        columns.append(a.sum(axis=0).max())
        largest.append(np.linalg.norm(queries[part].T @ keys[part] / 2, 2))
        reach = largest[-1] * np.linalg.norm(x, axis=1).max() ** 2
        b = np.linalg.norm(values[part], 2) * (columns[-1] ** 0.5 + reach * (1 + columns[-1] ** 0.5) + gain)
        squares += b * b
    output = np.linalg.norm(weights["projections.output.weight"], 2)
    assert found.ours == pytest.approx(output * squares**0.5, rel=1e-4)
    assert found.column_sum == pytest.approx(max(columns), rel=1e-4)
    assert found.query_key == pytest.approx(max(largest), rel=1e-4)


def test_measuring_leaves_the_model_alone():
    model = tiny_model("sa").train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    measure(model, sounds(1), QUICK, rng())
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_a_file_resumes_until_model_sounds_or_sizes_change(tmp_path):
    path, model, heard = tmp_path / "xsa.json", tiny_model("xsa"), sounds(1)
    first = resume(path, model, heard, QUICK, rng(1))
    unused = rng(2)
    assert resume(path, model, heard, QUICK, unused) == first == load(path)
    assert unused.bit_generator.state == rng(2).bit_generator.state, "nothing was measured"
    other = resume(path, tiny_model("xsa", seed=5), heard, QUICK, rng(1))
    assert other.of != first.of
    assert resume(path, model, sounds(2), QUICK, rng(1)).of not in (first.of, other.of)
    assert [file.name for file in tmp_path.iterdir()] == ["xsa.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"constants": [{"part": 1}]})])
def test_a_file_that_is_no_measurement_is_refused(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(KwsError, match="no measurement"):
        load(path)


def test_sounds_must_be_there_and_long_enough():
    with pytest.raises(KwsError, match="at least one"):
        measure(tiny_model("sa"), [], QUICK, rng())
    with pytest.raises(KwsError, match="utterance 1 has 11 frames of 40 ms, and 12 are to be measured"):
        measure(tiny_model("sa"), [*sounds(1), *sounds(1, frames=11)], QUICK, rng())


@pytest.mark.parametrize("name", ["static", "sa,fixed"])
def test_a_mixer_that_reads_more_than_its_input_is_refused(name):
    with pytest.raises(KwsError, match=f"a mixer of {name} reads more than its input"):
        measure(tiny_model(name), sounds(), QUICK, rng())


def invented(seed: int, exponent: float, by_depth: float, utterances: int = 8) -> Smoothness:
    draw = rng(seed)
    constants = [
        Constant("prefix", depth, n, i, 2 * n**exponent * np.exp(by_depth * depth + 0.1 * draw.standard_normal()), True)
        for depth in (1, 2, 3)
        for n in (25, 50, 100)
        for i in range(utterances)
    ]
    return Smoothness("", "sa", 5, 0.0, tuple(constants), (), ())


def test_growth_is_recovered_with_its_interval():
    models = [invented(seed, 0.25, 0.7) for seed in range(3)]
    found = exponents(models, rng())
    assert [(e.against, e.depth, e.frames) for e in found] == [
        *(("frames", depth, 0) for depth in (1, 2, 3)),
        *(("depth", 0, n) for n in (25, 50, 100)),
    ]
    for e in found:
        true = 0.25 if e.against == "frames" else 0.7
        assert e.low < e.slope < e.high
        assert abs(e.slope - true) < 0.06
        assert e.high - e.low < 0.2
    one = exponents([invented(0, 0.25, 0.7)], rng())[0]
    rows = [row for row in invented(0, 0.25, 0.7).constants if row.depth == 1]
    line = stats.linregress(np.log([row.frames for row in rows]), np.log([row.value for row in rows]))
    assert one.slope == pytest.approx(line.slope)


def test_growth_needs_models_that_were_measured_alike():
    for models in ([], [invented(0, 0.2, 0.5), invented(0, 0.2, 0.5, utterances=5)]):
        with pytest.raises(KwsError, match="measured alike"):
            exponents(models, rng())


def test_spreads_hold_every_quantity_of_every_part():
    models = [measure(tiny_model("xsa", seed), sounds(), QUICK, rng()) for seed in (1, 2)]
    found = {(row.part, row.depth, row.frames, row.quantity): row for row in spreads(models)}
    assert len(found) == 2 * (5 + 2 * 6 + 2)
    values = [row.value for m in models for row in m.constants if (row.part, row.depth, row.frames) == ("mixer", 2, 4)]
    row = found["mixer", 2, 4, "constant"]
    assert (row.low, row.median, row.high) == pytest.approx(tuple(np.percentile(values, [25, 50, 75])))
    assert all(0 < row.high < 1 for row in found.values() if row.quantity in ("to_bound", "to_general_bound"))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=20))
@settings(max_examples=8, deadline=None)
def test_correlation_is_spearmans(pairs):
    x, y = (list(map(float, column)) for column in zip(*pairs, strict=True))
    if len(set(x)) < 2 or len(set(y)) < 2:
        with pytest.raises(KwsError, match="that vary"):
            correlation(x, y, rng())
        return
    found = correlation(x, y, rng())
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    assert -1 <= found.low <= found.high <= 1
    assert found.models == len(pairs)


@pytest.mark.parametrize(("x", "y"), [([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), ([1.0, 2.0], [1.0, 2.0, 3.0, 4.0])])
def test_correlation_needs_four_pairs(x, y):
    with pytest.raises(KwsError, match="four models"):
        correlation(x, y, rng())
