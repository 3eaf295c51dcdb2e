"""What attention does, in numbers and in pictures: known answers, and an independent reading of the definitions."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kws.errors import KwsError  # noqa: E402
from kws.lab.attention.figures import TITLES, draw_attention, draw_layers  # noqa: E402
from kws.lab.attention.measure import QUANTITIES, diagnose, frame_levels, measure, observe  # noqa: E402
from kws.lab.curves import Curve, draw_curves, look  # noqa: E402
from kws.model.acoustic import AcousticConfig, AcousticModel  # noqa: E402
from kws.model.mixers.attention import Observation  # noqa: E402
from kws.model.mixers.xsa import exclude  # noqa: E402

FRAMES, WIDTH = 20, 5


def observed(a: torch.Tensor, v: torch.Tensor) -> Observation:
    """One head, its weights (T, T) and values (T, K)."""
    return Observation(a[None, None], (a @ v)[None, None], v[None, None])


def values(frames: int = FRAMES, seed: int = 0) -> torch.Tensor:
    return torch.randn(frames, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def measured(a: torch.Tensor, v: torch.Tensor | None = None, **options) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in measure(observed(a, values(len(a)) if v is None else v), **options).items()
    }


def band(frames: int, window: int) -> torch.Tensor:
    """Uniform attention to the last `window` frames."""
    seen = torch.ones(frames, frames, dtype=torch.float64).tril().triu(1 - window)
    return seen / seen.sum(1, keepdim=True)


def test_uniform_attention():
    found = measured(torch.full((FRAMES, FRAMES), 1 / FRAMES, dtype=torch.float64))
    assert found["own"] == pytest.approx(1 / FRAMES)
    assert found["entropy"] == pytest.approx(math.log(FRAMES)) and found["entropy_share"] == pytest.approx(1)
    assert [found[name] for name in ("column", "column_over_uniform", "first_over_uniform")] == pytest.approx([1, 1, 1])
    assert [found["sink_share"], found["first_share"]] == pytest.approx([1 / FRAMES] * 2)
    assert found["sink_keys"] == 0 and found["elsewhere"] == pytest.approx(0)
    assert found["distance"] == pytest.approx((FRAMES**2 - 1) / (3 * FRAMES))  # of two places drawn alike


def test_uniform_attention_of_a_window_counts_only_frames_that_see_all_of_it():
    found = measured(band(FRAMES, 4))
    assert found["own"] == pytest.approx(1 / 4) and found["distance"] == pytest.approx(1.5)
    assert found["entropy"] == pytest.approx(math.log(4)) and found["entropy_share"] == pytest.approx(1)
    assert found["column_over_uniform"] == pytest.approx(1) and found["sink_share"] == pytest.approx(1 / 4)
    assert found["column"] == pytest.approx(1 + 1 / 2 + 1 / 3 + 1 / 4), "the first key, of all frames that see it"
    assert found["first_share"] == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)
    assert found["first_over_uniform"] == pytest.approx(1)
    later = measured(band(FRAMES, 4), first=1)
    assert later["own"] == pytest.approx((1 / 2 + 1 / 3 + 17 / 4) / 19)


def test_attention_to_the_own_frame_alone():
    seen = band(FRAMES, FRAMES) * 0 + 1e-9 * torch.ones(FRAMES, FRAMES).tril().triu(-3)
    a = seen + (1 - seen.sum(1)) * torch.eye(FRAMES)
    found = measured(a)
    assert found["cosine"] == pytest.approx(1) and found["kept"] == pytest.approx(0, abs=1e-6)
    assert found["cosine_centred"] == pytest.approx(1, abs=1e-6)
    assert found["own"] == pytest.approx(1) and found["distance"] == pytest.approx(0, abs=1e-6)
    assert found["entropy"] == pytest.approx(0, abs=1e-6) and found["first_share"] == pytest.approx(0, abs=1e-6)
    assert found["column_over_uniform"] == pytest.approx(1, abs=1e-6), "every key is seen once: nobody is a sink"


def test_one_sink():
    a = torch.full((FRAMES, FRAMES), 0.2 / (FRAMES - 1), dtype=torch.float64)
    a[:, 7] = 0.8
    loud = torch.zeros(FRAMES)
    loud[7] = -3.0
    found = measured(a, level=loud)
    assert found["sink_share"] == pytest.approx(0.8) and found["column"] == pytest.approx(0.8 * FRAMES)
    assert found["column_over_uniform"] == pytest.approx(0.8 * FRAMES)
    assert found["sink_keys"] == pytest.approx(1 / (FRAMES - 1)), "of all but the first frame"
    assert found["sound_correlation"] == pytest.approx(-1), "what they look at is the silent frame"
    first = measured(a.roll(-7, 1))
    assert first["first_share"] == pytest.approx(0.8) and first["first_over_uniform"] == pytest.approx(0.8 * FRAMES)
    assert first["sink_keys"] == 0, "the first frame is counted by itself"


def test_constant_values_are_all_their_mean():
    found = measured(band(FRAMES, 4), torch.ones(FRAMES, WIDTH, dtype=torch.float64) * torch.arange(1.0, 1 + WIDTH))
    assert found["cosine"] == pytest.approx(1) and found["kept"] == pytest.approx(0)
    assert found["cosine_centred"] == 0
    single = Observation(
        *(part.float() for part in observed(band(FRAMES, 4), torch.full((FRAMES, WIDTH), 0.1).double()))
    )
    assert float(measure(single)["cosine_centred"]) == 0, "rounding is no direction"


def test_what_goes_to_no_frame():
    a = 0.75 * band(FRAMES, 4)
    found = measured(a)
    assert found["elsewhere"] == pytest.approx(0.25) and found["own"] == pytest.approx(0.75 / 4)
    assert found["entropy_share"] == pytest.approx(1), "of what does go to frames"


def test_a_common_mean_is_seen_and_taken_away():
    """Values with a large common part point the same way whatever attention does; centred they do not."""
    v, a = values(200), band(200, 8)
    high, low = measured(a, v + 10), measured(a, v)
    assert high["cosine"] > 0.97 and high["cosine_centred"] == pytest.approx(low["cosine_centred"])
    assert low["cosine_centred"] == pytest.approx(1 / math.sqrt(8), abs=0.06), "independent values: sqrt(a_ii)"


@given(frames=st.integers(8, 14), window=st.integers(2, 20), heads=st.integers(1, 3), seed=st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_every_quantity_is_its_definition(frames, window, heads, seed):
    rng = np.random.default_rng(seed)
    a = np.exp(2 * rng.normal(size=(heads, frames, frames)))
    for i in range(frames):
        for j in range(frames):
            if not 0 <= i - j < window:
                a[:, i, j] = 0
    a *= rng.uniform(0.5, 1) / a.sum(-1, keepdims=True)
    v, level = rng.normal(size=(heads, frames, 3)) + 1, rng.normal(size=frames)
    first = min(window - 1, frames - 4)
    parts = (torch.from_numpy(part)[None] for part in (a, a @ v, v))
    found = measure(Observation(*parts), torch.from_numpy(level), first)
    assert set(found) == set(QUANTITIES) == set(TITLES)
    for h in range(heads):
        expected = by_definition(a[h], v[h], level, window, first)
        for name, value in expected.items():
            assert float(found[name][h]) == pytest.approx(value, abs=1e-9, nan_ok=True), name


def by_definition(a, v, level, window, first) -> dict[str, float]:
    """The same quantities by loops over frames and keys."""
    frames = len(a)
    look = {i: [j for j in range(frames) if 0 <= i - j < window] for i in range(frames)}
    count = range(first, frames)
    m = sum(v) / frames
    of_frames = ("cosine", "cosine_centred", "kept", "own", "elsewhere", "entropy", "entropy_share", "distance")
    sums = dict.fromkeys(of_frames, 0.0)
    for i in count:
        y = sum(a[i, j] * v[j] for j in look[i])
        z = sum(a[i, j] * (v[j] - m) for j in look[i])
        cosine = y @ v[i] / np.linalg.norm(y) / np.linalg.norm(v[i])
        total = sum(a[i, j] for j in look[i])
        p = [a[i, j] / total for j in look[i]]
        entropy = -sum(q * math.log(q) for q in p)
        sums["cosine"] += cosine
        sums["cosine_centred"] += z @ (v[i] - m) / np.linalg.norm(z) / np.linalg.norm(v[i] - m)
        sums["kept"] += np.linalg.norm(y - y @ v[i] / (v[i] @ v[i]) * v[i]) ** 2 / np.linalg.norm(y) ** 2
        sums["own"] += a[i, i]
        sums["elsewhere"] += 1 - total
        sums["entropy"] += entropy
        sums["entropy_share"] += entropy / math.log(len(p))
        sums["distance"] += sum(q * (i - j) for q, j in zip(p, look[i], strict=True))
    viewers = {j: [i for i in count if j in look[i]] for j in range(frames)}
    most = max(map(len, viewers.values()))
    keys = [j for j in range(frames) if len(viewers[j]) == most]
    got = [sum(a[i, j] for i in viewers[j]) for j in keys]
    received = [g / sum(1 / len(look[i]) for i in viewers[j]) for g, j in zip(got, keys, strict=True)]
    fans = [i for i in range(1, frames) if 0 in look[i]]
    later = [r for r, j in zip(received, keys, strict=True) if j > 0]
    return {name: value / len(count) for name, value in sums.items()} | {
        "column": max(sum(a[i, j] for i in range(frames)) for j in range(frames)),
        "column_over_uniform": max(received),
        "sink_share": max(g / len(viewers[j]) for g, j in zip(got, keys, strict=True)),
        "sink_keys": sum(r > 5 for r in later) / len(later),
        "first_share": sum(a[i, 0] for i in fans) / len(fans),
        "first_over_uniform": sum(a[i, 0] for i in fans) / sum(1 / len(look[i]) for i in fans),
        "sound_correlation": np.corrcoef(received, level[keys])[0, 1] if len(keys) > 1 else math.nan,
    }


def test_too_few_frames_say_so():
    with pytest.raises(KwsError, match="fewer than two see the 9 keys"):
        measured(band(9, 30))
    with pytest.raises(KwsError, match="follow frame 8"):
        measured(band(9, 30), first=8)
    assert measured(band(9, 30), first=4)["entropy_share"] == pytest.approx(1)


def model(mixer: str, window: int = 5) -> AcousticModel:
    torch.manual_seed(3)
    shape = {"width": 16, "blocks": 2, "heads": 2, "window_frames": window, "channels": 8, "mels": 10}
    config = AcousticConfig(mixer=mixer, dropout=0.5, **shape)
    made = AcousticModel(config).double()
    for block in made.blocks:  # a fresh distance bias is zero: a wrong one would go unseen
        for p in block.mixer.parameters():
            torch.nn.init.normal_(p, std=0.4)
    return made


MEL = torch.randn(1, 4 * 17, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("mixer", ["sa", "xsa", "sa+full", "xsa+full", "sa+null", "sa+sink", "xsa+centre"])
def test_what_is_observed_is_what_the_model_did(mixer):
    """The observation of the second block, put through its own exclusion and projection, is that mixer's output."""
    made, seen = model(mixer), []
    hook = made.blocks[1].mixer.register_forward_hook(lambda _, given, result: seen.append((given[0], result)))
    found = observe(made, MEL)
    hook.remove()
    assert made.training and list(found) == [0, 1], "dropout was off, and is on again"
    a, y, v = found[1]
    assert a.shape == (1, 2, 17, 17) and y.shape == v.shape == (1, 2, 17, 8)
    if "null" not in mixer:
        assert torch.allclose(y, a @ v, atol=1e-12)
    if "centre" not in mixer:
        z = exclude(y, v) if mixer.startswith("xsa") else y
        out = seen[0][1] if "full" in mixer else seen[0][1][0]
        assert torch.allclose(made.blocks[1].mixer.projections.merge(z), out, atol=1e-12)
    if "full" not in mixer:
        assert not a.triu(1).any() and not a.tril(-5).any(), "only the window is attended to"
    rows = a.sum(-1) if "full" in mixer else a[:, :, 4:].sum(-1)  # before that, a fresh cache is attended to
    assert (rows < 1).all() if "null" in mixer or "sink" in mixer else torch.allclose(rows, torch.ones_like(rows))


@pytest.mark.parametrize("mixer", ["static", "sa,static", "random", "sa,fixed"])
def test_an_observation_is_of_the_utterance_and_not_of_a_reference(mixer):
    """A reference is as long as the window, which here is as long as the utterance."""
    made = model(mixer, window=17)
    made.eval()
    first = made.blocks[0]
    x = first.mixer_norm(made.subsampling(MEL, made.subsampling.init_state(1))[0])
    assert torch.equal(observe(made, MEL)[0].values, first.mixer.observe(x, x if first.mixer.reads else None).values)
    other = [observe(made, mel)[1] for mel in (MEL, MEL.flip(1))]
    assert not torch.allclose(other[0].values, other[1].values)
    same_map = torch.allclose(other[0].weights, other[1].weights)
    assert same_map == (mixer in ("random", "sa,fixed")), "a map of places alone is that of every utterance"


def test_what_the_exclusion_leaves_is_orthogonal_and_has_the_energy_that_is_told():
    _, y, v = observe(model("xsa"), MEL)[0]
    z = exclude(y, v)[..., 4:, :]
    y, v = y[..., 4:, :], v[..., 4:, :]
    assert ((z * v).sum(-1) / (z.norm(dim=-1) * v.norm(dim=-1))).abs().max() < 1e-4  # eps is 1e-6, values are small
    kept = (z.square().sum(-1) / y.square().sum(-1)).mean(-1)[0]
    assert torch.allclose(measure(observe(model("xsa"), MEL)[0])["kept"], kept, atol=1e-4)


def test_rows_average_utterances_and_json_holds_them():
    made = model("xsa")
    mels = [MEL, MEL.flip(1), MEL.roll(9, 1)]
    rows = diagnose(made, mels)
    assert json.loads(json.dumps([asdict(row) for row in rows]))[0]["block"] == 0
    assert len(rows) == 2 * 3 * len(QUANTITIES), "blocks, two heads and their mean, quantities"
    each = [measure(observe(made, mel)[1], frame_levels(made, mel)) for mel in mels]
    for row in (row for row in rows if row.block == 1):
        by_head = np.array([one[row.quantity].tolist() for one in each])
        one = by_head.mean(axis=1) if row.head is None else by_head[:, row.head]
        assert row.mean == pytest.approx(one.mean()) and row.utterances == 3
        assert row.error == pytest.approx(one.std(ddof=1) / math.sqrt(3))
    assert {row.error for row in diagnose(made, [MEL])} == {None}


def test_a_level_that_does_not_vary_correlates_with_nothing():
    rows = diagnose(model("sa"), [MEL, torch.ones_like(MEL)])
    assert {row.utterances for row in rows if row.quantity == "sound_correlation"} == {1}
    assert "sound_correlation" not in {row.quantity for row in diagnose(model("sa"), [torch.ones_like(MEL)])}


def test_what_cannot_be_diagnosed():
    assert diagnose(model("lstm"), [MEL]) == []
    with pytest.raises(KwsError, match="no utterance"):
        diagnose(model("sa"), [])
    with pytest.raises(KwsError, match="utterance 1: of 5 frames fewer than two"):
        diagnose(model("sa"), [MEL, MEL[:, :20]])
    with pytest.raises(ValueError, match="one utterance"):
        observe(model("sa"), MEL.expand(2, -1, -1))


def curve(mixer: str, label: str) -> Curve:
    return Curve(mixer, label, [1, 2, 4], [3.0, 2.0, 1.0], [2.0, 1.5, 0.5], [4.0, 3.0, 1.2])


def lines_of(figure) -> list:
    """Dashes, colour and marker of each curve of the first panel."""
    return [(line[0].get_linestyle(), line[0].get_color(), line[0].get_marker()) for line in figure.axes[0].containers]


def test_a_mixer_looks_the_same_everywhere_and_no_two_lines_of_a_figure_look_alike():
    assert look("sa+xsa+null") == look("xsa") != look("sa") == look("sa+full")
    assert look("xsa,static") == look("gru,sa") and look("xsa,xsa") == look("xsa")
    pytest.importorskip("matplotlib")
    names = ["sa", "xsa", "xsa+centre", "sa+full", "xsa+full", "lstm", "bilstm", "xsa,static"]
    lines = lines_of(draw_curves({"": [curve(name, name) for name in names]}, "s", "%"))
    assert len(set(lines)) == len(names)
    alone = lines_of(draw_curves({"": [curve("sa+full", "a")]}, "s", "%"))
    assert alone == [lines[3]], "whole segments are dashed with and without their window beside them"


def test_curves_stand_where_their_numbers_are():
    pytest.importorskip("matplotlib")
    figure = draw_curves(
        {"": [curve("sa", "a")], "other": [curve("sa", "a")]}, "frames", "constant", log_x=True, log_y=True
    )
    line = figure.axes[0].containers[0][0]
    assert line.get_xdata() == pytest.approx([1, 2, 4]) and line.get_ydata() == pytest.approx([3, 2, 1])
    assert len(figure.legends) == 1 and [text.get_text() for text in figure.legends[0].get_texts()] == ["a"]
    with pytest.raises(KwsError, match="nothing to draw"):
        draw_curves({"": []}, "s", "%")


def test_layers_show_the_mean_and_the_range_of_seeds():
    pytest.importorskip("matplotlib")
    seeds = [diagnose(model("sa"), [mel]) for mel in (MEL, MEL.flip(1))]
    figure = draw_layers({"sa": seeds, "lstm": [[]]}, ["own", "entropy"])
    (container,) = figure.axes[0].containers
    own = [[row.mean for row in rows if row.quantity == "own" and row.head is None] for rows in seeds]
    assert container[0].get_ydata() == pytest.approx(np.mean(own, axis=0))
    (bars,) = container[2]
    spans = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert np.ravel(spans) == pytest.approx(np.ravel([np.min(own, axis=0), np.max(own, axis=0)], order="F"))
    with pytest.raises(KwsError, match="nothing to draw"):
        draw_layers({"lstm": [[]]}, ["own"])


@pytest.mark.parametrize(("mixer", "rows"), [("xsa", 5), ("sa+full", 17)])
def test_a_map_has_a_panel_for_every_head_and_the_weights_in_it(mixer, rows):
    pytest.importorskip("matplotlib")
    found = observe(model(mixer), MEL)
    figure = draw_attention(found, MEL, "a title")
    panels = [ax for ax in figure.axes if ax.images and ax.images[0].get_array().shape == (rows, 17)]
    assert len(panels) == 2 * 2, "blocks, heads"
    shown, weights = panels[3].images[0].get_array(), found[1].weights[0, 1]
    for w in range(rows):
        for j in range(17):
            i = w if rows == 17 else w + j
            assert np.isnan(shown[w, j]) or np.ma.is_masked(shown[w, j]) if i > 16 else shown[w, j] == weights[i, j]
    with pytest.raises(KwsError, match="no block"):
        draw_attention({}, MEL)
