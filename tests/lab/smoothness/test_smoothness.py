"""What is measured of a model, against its parts and its weights in use."""

import dataclasses
import json
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy.stats")

from jacobians import dense, normal, rng  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.lab.smoothness.growth import spreads  # noqa: E402
from kws.lab.smoothness.measure import Sizes, Smoothness, load, measure, resume  # noqa: E402
from kws.model.acoustic import AcousticModel  # noqa: E402
from kws.model.config import AcousticConfig  # noqa: E402

KINDS = ["sa", "xsa", "lstm", "sa+full", "xsa+full", "bilstm", "bilstm_chunked"]
QUICK = Sizes(frames=(4, 12), iterations=12, restarts=1, ascent_steps=3)


def tiny_model(name: str, seed: int = 2, mels: int = 5) -> AcousticModel:
    torch.manual_seed(seed)
    return AcousticModel(AcousticConfig(mixer=name, width=8, blocks=2, heads=2, window_frames=5, channels=6, mels=mels))


def sounds(count: int = 3, frames: int = 14):
    return [normal(i, 1, 4 * frames, 5).float() for i in range(count)]


@cache
def measured(name: str, seed: int) -> Smoothness:
    """Of a small model; several tests look at the same one."""
    return measure(tiny_model(name, seed), sounds(), QUICK, rng())


@pytest.mark.parametrize("name", KINDS)
def test_every_part_is_measured_within_its_bound(name):
    found = measured(name, 2)
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


def test_spreads_hold_every_quantity_of_every_part():
    models = [measured("xsa", seed) for seed in (1, 2)]
    found = {(row.part, row.depth, row.frames, row.quantity): row for row in spreads(models)}
    assert len(found) == 2 * (5 + 2 * 6 + 2)
    values = [row.value for m in models for row in m.constants if (row.part, row.depth, row.frames) == ("mixer", 2, 4)]
    row = found["mixer", 2, 4, "constant"]
    assert (row.low, row.median, row.high) == pytest.approx(tuple(np.percentile(values, [25, 50, 75])))
    assert all(0 < row.high < 1 for row in found.values() if row.quantity in ("to_bound", "to_general_bound"))
