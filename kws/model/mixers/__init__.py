"""Mixers: the layers that bring frames together in a block of the encoder, one file
each. A recipe chooses them by a pattern of names (see spec.py).

A new mixer is a class of base.py's StreamingMixer or SegmentMixer in a file of its own.
In kws it also has a line in one table here; outside of kws a recipe names it as
FILE.py:CLASS (own.py).
"""

from kws.model.mixers.approximate import ApproximateAttention
from kws.model.mixers.attention import FullSelfAttention, SelfAttention
from kws.model.mixers.base import MixerConfig, SegmentMixer, StreamingMixer
from kws.model.mixers.lowrank import LowRankAttention
from kws.model.mixers.memory import Memory
from kws.model.mixers.nonapproximate import NonApproximateAttention
from kws.model.mixers.none import NoMixing
from kws.model.mixers.own import is_own, own_class
from kws.model.mixers.position import FixedAttention, RandomAttention
from kws.model.mixers.recurrent import GRU, BiLSTM, ChunkedBiLSTM, UniLSTM
from kws.model.mixers.spec import MixerSpec, Switches, parse_pattern, parse_spec
from kws.model.mixers.static import StaticAttention

__all__ = [
    "SEGMENT",
    "STREAMING",
    "MixerConfig",
    "MixerSpec",
    "SegmentMixer",
    "StreamingMixer",
    "Switches",
    "is_streaming",
    "make_mixer",
    "parse_pattern",
    "parse_spec",
]

STREAMING: dict[str, type[StreamingMixer]] = {
    "lstm": UniLSTM,
    "gru": GRU,
    "sa": SelfAttention,
    "approximate": ApproximateAttention,
    "nonapproximate": NonApproximateAttention,
    "random": RandomAttention,
    "fixed": FixedAttention,
    "static": StaticAttention,
    "none": NoMixing,
    "lowrank": LowRankAttention,
    "memory": Memory,
}
SEGMENT: dict[str, type[SegmentMixer]] = {
    "bilstm": BiLSTM,
    "bilstm_chunked": ChunkedBiLSTM,
    "sa+full": FullSelfAttention,
}


def make_mixer(spec: str | MixerSpec, config: MixerConfig) -> StreamingMixer | SegmentMixer:
    """The mixer called `spec`.

    Raises ValueError with the known names and switches, and KwsError for a
    FILE.py:CLASS that cannot be loaded.
    """
    spec = parse_spec(spec) if isinstance(spec, str) else spec
    return _class_of(spec)(config, spec.switches)


def is_streaming(pattern: str) -> bool:
    """Whether the mixers of a pattern run on endless audio; ValueError if some do and
    some do not.
    """
    kinds = {str(spec): issubclass(_class_of(spec), StreamingMixer) for spec in parse_pattern(pattern)}
    if len(set(kinds.values())) > 1:
        segment = ", ".join(name for name, streaming in kinds.items() if not streaming)
        raise ValueError(f"the pattern {pattern!r} mixes mixers that stream with mixers of whole segments ({segment})")
    return all(kinds.values())


def _class_of(spec: MixerSpec) -> type[StreamingMixer] | type[SegmentMixer]:
    known: dict[str, type[StreamingMixer] | type[SegmentMixer]] = {**STREAMING, **SEGMENT}
    if is_own(spec.base):
        found = own_class(spec.base)
    elif spec.base in known:
        found = known.get(f"{spec.base}+full" if spec.switches.full else spec.base, known[spec.base])
    else:
        names = ", ".join(sorted({name.partition("+")[0] for name in known} | {"xsa"}))
        raise ValueError(f"no mixer is called {spec.base!r}; there are {names}, and FILE.py:CLASS of your own")
    for name in spec.switches.on():
        if name not in found.fits:
            takes = f"it takes {', '.join(sorted(found.fits))}" if found.fits else "it takes none"
            raise ValueError(f"the mixer {spec.base!r} has no switch {name!r}; {takes}")
    return found
