"""The names of mixers: specs such as `sa+xsa+null`, and patterns of them such as
`xsa,static`.

    pattern = spec{,spec}            dealt to the blocks in turn, again from the first if there are more blocks
    spec    = base{+switch}          `xsa` is short for `sa+xsa`
    base    = NAME | FILE.py:CLASS   a mixer of kws, or of the user's own (own.py); no comma in the path
"""

from dataclasses import dataclass, fields

_SHORT = {"xsa": ("sa", "xsa")}


@dataclass(frozen=True)
class Switches:
    """The switches of a mixer; each class of mixers says in `fits` which of them it
    takes.

    xsa: z = y - (y . v) v / (|v|^2 + eps) per head, before the output projection. gate:
    the part that is taken away is multiplied by tanh(alpha), one alpha per head that
    starts at zero. centre: in that formula v is v minus the mean of the values in the
    window. null: one learned key and value per head that are always attended to. sink:
    one learned logit per head in the softmax's denominator, without a value. full: the
    whole segment is attended to. nodiag: no frame attends to itself (implies null).
    offdir: as xsa, on a fixed random direction per head instead of v. prev: as xsa, on
    the value of the frame before; the first frame loses nothing.
    """

    xsa: bool = False
    gate: bool = False
    centre: bool = False
    null: bool = False
    sink: bool = False
    full: bool = False
    nodiag: bool = False
    offdir: bool = False
    prev: bool = False

    def on(self) -> tuple[str, ...]:
        """The names of the switches that are on."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name))


EXCLUSIONS = frozenset({"xsa", "offdir", "prev"})  # what takes a projection away: one of them at most


@dataclass(frozen=True)
class MixerSpec:
    """A base (a name of the tables in kws.model.mixers, or FILE.py:CLASS) and its
    switches.
    """

    base: str
    switches: Switches

    def __str__(self) -> str:
        return "+".join((self.base, *self.switches.on()))


def parse_spec(text: str) -> MixerSpec:
    """`base{+switch}`; ValueError for unknown switches and for switches that contradict
    each other.
    """
    file, mark, rest = text.strip().rpartition(".py:")  # the path of a FILE.py:CLASS may hold a +
    base, *names = rest.split("+")
    base = file + mark + base
    short, *implied = _SHORT.get(base, (base,))
    known = [field.name for field in fields(Switches)]
    for name in names:
        if name not in known:
            raise ValueError(f"no switch of a mixer is called {name!r} (in {text!r}); there are {', '.join(known)}")
    on = {*implied, *names}
    exclusions = sorted(on & EXCLUSIONS)
    if len(exclusions) > 1:
        raise ValueError(f"the mixer {text!r} has {' and '.join(exclusions)}: a mixer takes one of them")
    if "gate" in on and not exclusions:
        raise ValueError(f"the mixer {text!r} has nothing to gate: add one of {', '.join(sorted(EXCLUSIONS))}")
    if "centre" in on and "xsa" not in on:
        raise ValueError(f"the mixer {text!r} has nothing to centre: add xsa")
    return MixerSpec(short, Switches(**dict.fromkeys(on, True)))


def parse_pattern(pattern: str) -> tuple[MixerSpec, ...]:
    """The specs of a pattern, in order; ValueError as `parse_spec` says."""
    return tuple(parse_spec(text) for text in pattern.split(","))
