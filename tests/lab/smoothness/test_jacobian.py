"""Local Lipschitz constants by iteration against dense Jacobians."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from jacobians import dense, normal, rng  # noqa: E402
from kws.lab.smoothness.jacobian import Linearised, local_constant  # noqa: E402
from kws.model.mixers import MixerConfig, is_streaming, make_mixer  # noqa: E402

KINDS = ["sa", "xsa", "lstm", "sa+full", "xsa+full", "bilstm", "bilstm_chunked"]


def mixer_function(name: str):
    torch.manual_seed(3)
    mixer = make_mixer(name, MixerConfig(width=8, heads=2, window_frames=3)).double()
    for p in mixer.parameters():
        torch.nn.init.normal_(p, std=0.6)
    if is_streaming(name):
        return lambda x: mixer(x, mixer.init_state(len(x)))[0]
    return lambda x: mixer(x, torch.full((len(x),), x.shape[1]))


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
