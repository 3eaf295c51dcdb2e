"""An ensemble of verifiers, whose log-odds are averaged (Hansen and Salamon 1990,
"Neural network ensembles", IEEE Trans. PAMI 12).

Verifiers that began with other weights are wrong about other words, so that their mean
is wrong less often than each of them.

Shapes: B segments, F hops of 10 ms, M mel bands, T frames of 40 ms, V tokens, W words.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from kws.model.verifier import Verifier


class Ensemble(nn.Module):
    """(B, F, M) log-mel energies -> (B, W), the mean of the members' log-odds, and
    (B, T, V), the first member's log-posteriors.

    The phones of one member are taken, because members put the peaks of a phone in
    other frames, and a mean of posteriors would flatten them.
    """

    def __init__(self, members: Sequence[Verifier]) -> None:
        """members: verifiers of the same segments, tokens and words."""
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def first(self) -> Verifier:
        """The member whose phones are taken."""
        return cast("Verifier", self.members[0])

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        members = cast("list[Verifier]", list(self.members))
        hidden = [member.hidden(features) for member in members]
        log_odds = torch.stack([member.log_odds(x) for member, x in zip(members, hidden, strict=True)])
        return log_odds.mean(dim=0), self.first.log_posteriors(hidden[0])
