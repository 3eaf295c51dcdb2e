"""The precision that a training has on this machine."""

import torch

from kws.log import Log
from kws.train.recipe import OptimConfig, RunConfig

_MIXED, _SINGLE = "bf16-mixed", "32-true"


def precision_here(optim: OptimConfig, run: RunConfig) -> str:
    """The recipe's precision, as Lightning names it; single precision instead of
    bfloat16 on a processor that does not compute in bfloat16.

    Such a processor converts every number there and back: the training of `phones` took
    5 times as long as in single precision (docs/decisions.md, "bfloat16 where there is
    none").
    """
    cpu = run.accelerator == "cpu" or (run.accelerator == "auto" and not torch.accelerator.is_available())
    in_vain = optim.precision == _MIXED and cpu and not has_bfloat16()
    return _SINGLE if in_vain else optim.precision


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16, by the names of x86-64 and ARM."""
    can = torch.cpu.get_capabilities()
    return any(can.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def tell_of_precision(optim: OptimConfig, run: RunConfig, log: Log) -> None:
    """A line where the precision is not the recipe's."""
    if (here := precision_here(optim, run)) != optim.precision:
        log(f"this processor does not compute in bfloat16: precision {here} instead of {optim.precision}")
