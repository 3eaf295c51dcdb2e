"""Upper bounds of the local Lipschitz constant of one attention block, from its weights
and its attention map.

Shapes: B rows (utterances), H heads, T frames (queries and keys), D width, K = D
/ H.

One head: s_ij = x_i^T A x_j + b_ij, A = W_Q^T W_K / sqrt(K), p_i = softmax_j s_ij, y_i
= sum_j p_ij V x_j, V = W_V, where b_ij is constant (the distance bias, and the mask:
p_ij = 0 beyond the window). ||.|| is the largest singular value, R = max_j |x_j|, and c
= max_j sum_i p_ij, the largest column sum: all the attention that one key receives.
Then

    sigma_max(D_X SA)  <= b = ||V|| [ sqrt(c) + ||A|| R^2 (1 + sqrt(c)) ]
    sigma_max(D_X XSA) <= b + ||V|| max_i g_i        g_i = |y_i| |v_i| / (|v_i|^2 + e) * sqrt(max(1, k)(1 + k))

with XSA's e and k = 2 e / (|v_i|^2 + e): for e -> 0, g_i = |y_i| / |v_i|. For heads
side by side, sigma_max <= ||W_O|| sqrt(sum_h b_h^2), because |(y^1, ..., y^H)|^2 =
sum_h |y^h|^2; the bias of W_O is constant.

Proof. dy_i has three parts (m_i = sum_j p_ij x_j):

  value: sum_j p_ij V dx_j, the matrix P (x) V, ||P|| <= sqrt(||P||_1 ||P||_inf) = sqrt(c), as rows of P sum to 1.
  query: V Cov_i A^T dx_i, with Cov_i = sum_j p_ij (x_j - m_i)(x_j - m_i)^T <= R^2 (a variance is at most the second
    moment). It touches each i apart, hence ||V|| ||A|| R^2.
  key: V sum_j p_ij (x_j - m_i) t_ij with t_ij = x_i^T A dx_j, |t_ij| <= ||A|| R |dx_j|. For any unit u,
    |sum_j p_ij u^T(x_j - m_i) t_ij| <= sqrt(u^T Cov_i u) sqrt(sum_j p_ij t_ij^2) (Cauchy-Schwarz)
    <= ||A|| R^2 sqrt(sum_j p_ij |dx_j|^2). Squared and summed over i, sum_ij p_ij |dx_j|^2 <= c |dX|^2: hence
    ||V|| ||A|| R^2 sqrt(c).

XSA: z_i = N_i y_i, N_i = I - v_i v_i^T / (r + e), r = |v_i|^2, and |N_i dy_i| <=
|dy_i|. For the rest, let

  dv_i = a v/|v| + w with w across v, y = p v/|v| + q with q across v, and s = |v| / (r + e). Then
  (dN) y = -s p w - (s q.w + s k a p) v/|v|. Its square is at most
  s^2 (|w|^2 p^2 + |w|^2 |q|^2 + 2 k |w||q||a||p| + k^2 a^2 p^2) <= s^2 max(1, k)(1 + k)(|w|^2 + a^2)(p^2 + |q|^2),
  as 2 |w||q||a||p| <= |w|^2 |q|^2 + a^2 p^2. It touches each i apart, and |dv_i| <= ||V|| |dx_i|.

What follows: c <= T always and c <= W for a window of W frames, so a limited left
context caps the constant, while a sink (one key that all attend to) is exactly what
makes c ~ T; XSA does not remove that.

Beside it stands the bound of Castin, Ablin and Peyre 2024 ("How Smooth Is Attention?",
arXiv 2312.14820) for any T points in the ball of radius R: sqrt(3) ||V|| (||A||^2 R^4
(4 T + 1) + T)^(1/2). With c <= T and (p + q + r)^2 <= 3 (p^2 + q^2 + r^2), b^2 <= 3
||V||^2 (||A||^2 R^4 (T + 1) + T): b is never above it, under any mask.
"""

from typing import NamedTuple

import torch
from torch import Tensor

_SMALLEST = 1e-30


class HeadWeights(NamedTuple):
    """The weights of H heads of a block."""

    query: Tensor  # (H, K, D) W_Q
    key: Tensor  # (H, K, D) W_K
    value: Tensor  # (H, K, D) W_V
    output: Tensor  # (D, D) W_O


class Attended(NamedTuple):
    """The input of the heads, and their weights and sums for it."""

    x: Tensor  # (B, T, D) the input of the projections
    weights: Tensor  # (B, H, T, T) attention map, queries by keys
    mixed: Tensor  # (B, H, T, K) y, before any exclusion
    values: Tensor  # (B, H, T, K) v


class Bounds(NamedTuple):
    """Bounds of the local Lipschitz constant, and the quantities in them; (B,) each."""

    ours: Tensor
    general: Tensor  # Castin et al.'s, without the term of XSA, whose smallest |v| no ball bounds
    column_sum: Tensor  # c, the largest of the heads
    query_key: Tensor  # ||A||, the largest of the heads
    radius: Tensor  # R
    smallest_value: Tensor  # min |v_i| over frames and heads


def attention_bounds(head: HeadWeights, seen: Attended, exclusion_epsilon: float | None = None) -> Bounds:
    """The bounds above at `seen`, for all heads and W_O together.

    exclusion_epsilon: the e of XSA; None for SA.
    """
    a = head.query.transpose(1, 2) @ head.key / head.query.shape[1] ** 0.5
    query_key, value, output = _norm(a), _norm(head.value), _norm(head.output)  # (H,), (H,), ()
    frames = seen.x.shape[1]
    radius = seen.x.norm(dim=2).amax(dim=1)  # (B,)
    reach = query_key * radius[:, None] ** 2  # (B, H) ||A|| R^2
    column = seen.weights.sum(dim=2).amax(dim=2)  # (B, H)
    root = column.sqrt()
    by_head = value * (root + reach * (1 + root))
    if exclusion_epsilon is not None:
        by_head = by_head + value * _exclusion_gain(seen.mixed, seen.values, exclusion_epsilon).amax(dim=2)
    general = value * (3 * (reach**2 * (4 * frames + 1) + frames)).sqrt()
    return Bounds(
        ours=output * by_head.norm(dim=1),
        general=output * general.norm(dim=1),
        column_sum=column.amax(dim=1),
        query_key=query_key.amax().expand(len(radius)),
        radius=radius,
        smallest_value=seen.values.norm(dim=3).amin(dim=(1, 2)),
    )


def _exclusion_gain(y: Tensor, v: Tensor, epsilon: float) -> Tensor:
    """The gains g_i of the exclusion, (B, H, T)."""
    square = v.square().sum(dim=3) + epsilon
    k = 2 * epsilon / square.clamp(min=_SMALLEST)
    return y.norm(dim=3) * v.norm(dim=3) / square.clamp(min=_SMALLEST) * (k.clamp(min=1) * (1 + k)).sqrt()


def _norm(x: Tensor) -> Tensor:
    """The largest singular value of the matrices (..., M, N)."""
    return torch.linalg.matrix_norm(x, ord=2)
