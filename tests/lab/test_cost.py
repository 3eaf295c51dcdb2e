"""What a model costs: multiply-accumulates by formula, graphs and steps side by side."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("pytorch_lightning")

from checkpoints import RECIPE, checkpoint  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.lab.cost import macs_per_second, multiply_accumulates, step_times, stream_cost  # noqa: E402
from kws.model.acoustic import AcousticConfig, AcousticModel  # noqa: E402
from kws.model.checkpoint import save_checkpoint  # noqa: E402
from kws.model.mixers import MixerConfig, make_mixer  # noqa: E402

D, W, H = 32, 10, 4
SHAPE = {"width": D, "heads": H, "window_frames": W, "blocks": 2, "channels": 16, "mels": 20, "expansion": 2}
FRAMES_PER_SECOND = 25


def around_mixers() -> int:
    """Per frame: two frames of the first convolution, one of the second, two feed-forwards, the head of 40 tokens."""
    subsampling = 2 * 5 * 20 * 16 + 5 * 16 * D
    return subsampling + 2 * 2 * D * 2 * D + D * 40


def per_frame(pattern: str, seconds: float = 1.0) -> float:
    """Of the two mixers of a model."""
    model = AcousticModel(AcousticConfig(mixer=pattern, **SHAPE))
    return macs_per_second(model, seconds) / FRAMES_PER_SECOND - around_mixers()


def units(mixer: str) -> int:
    return make_mixer(mixer, MixerConfig(D, H, W)).units


def test_attention_costs_its_formula():
    """4 d^2 for the projections and 2 W d for scores and sums; the exclusion's products are of single elements."""
    assert per_frame("sa") == 2 * (4 * D * D + 2 * W * D)
    assert per_frame("xsa,sa") == per_frame("sa")


def test_recurrent_layers_cost_their_formula():
    lstm, gru = units("lstm"), units("gru")
    assert per_frame("lstm") == 2 * (4 * lstm * (D + lstm) + lstm * D)
    assert per_frame("gru,lstm") == 3 * gru * (D + gru) + gru * D + per_frame("lstm") / 2


def test_a_map_of_a_fixed_reference_costs_its_sum_alone():
    """Values, output and the weighted sum: queries, keys and the reference's own way are done once for all time."""
    assert per_frame("random") < per_frame("sa")
    assert per_frame("fixed") == per_frame("random")


def test_segment_models_are_counted_over_their_segment():
    """Scores and sums over all frames of a segment: 2 T d a frame."""
    for seconds in (1.0, 4.0):
        frames = FRAMES_PER_SECOND * seconds
        assert per_frame("sa+full", seconds) == 2 * (4 * D * D + 2 * frames * D)
    assert per_frame("bilstm", 1.0) == per_frame("bilstm", 4.0)


def test_counting_leaves_the_model_as_it_was():
    model = AcousticModel(AcousticConfig(mixer="lstm", **SHAPE)).train()
    macs_per_second(model, 1.0)
    assert model.training and all(p.dtype == torch.float32 for p in model.parameters())


def test_a_product_counts_once_per_pair():
    a, b = torch.zeros(3, 4), torch.zeros(4, 5)
    assert multiply_accumulates(lambda: a @ b) == 3 * 4 * 5


def test_graphs_side_by_side(tmp_path):
    """The second keeps nothing from frame to frame in its blocks: their convolution has a kernel of 1."""
    files = {name: tmp_path / f"{name}.ckpt" for name in ("lstm", "none")}
    for name, path in files.items():
        model = AcousticModel(AcousticConfig(mixer=name, kernel=1, **SHAPE | {"blocks": 1}))
        save_checkpoint(path, model, RECIPE, {"hey you=HH EY Y UW": [["HH", "EY", "Y", "UW"]]}, {})
    costs = stream_cost(files, tmp_path / "graphs", rounds=2)
    assert list(costs) == ["lstm", "none"]
    assert sorted(path.name for path in (tmp_path / "graphs").iterdir()) == ["lstm.onnx", "none.onnx"]
    for cost in costs.values():
        assert 0 <= cost.difference <= 1e-4
        assert 0 < cost.calls.cpu_us_per_audio_s < 1e6
        assert 0 < cost.calls.p50_us <= cost.calls.p99_us


def test_a_segment_model_has_no_stream_cost(tmp_path):
    with pytest.raises(KwsError, match="whole segments"):
        stream_cost({"bilstm": checkpoint(tmp_path / "m.ckpt", "bilstm")}, tmp_path, rounds=1)


def test_steps_side_by_side():
    configs = {name: AcousticConfig(mixer=name, **SHAPE) for name in ("lstm", "memory", "bilstm_chunked")}
    before = torch.get_num_threads()
    times = step_times(configs, rows=2, seconds=1.0, rounds=3, threads=1)
    assert torch.get_num_threads() == before
    assert list(times) == list(configs)
    assert times["lstm"].ratio == 1.0
    for time in times.values():
        assert time.median_ms > 0 and time.ratio > 0 and time.parameters > 1000
