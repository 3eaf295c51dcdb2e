"""What goes wrong in a user's hands, said in one sentence."""

from __future__ import annotations

import importlib
from types import ModuleType


class KwsError(Exception):
    """A user's mistake or a missing thing; `str()` is one sentence: what is wrong and what to do."""


class InputError(KwsError, ValueError):
    """Samples or log-posteriors of a kind that cannot be used (dtype, shape, rate, NaN)."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module, or raise a KwsError that names the pip command which brings it.

    module: the name to import, such as "soundfile"; extra: the extra of the kws package that holds it.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise KwsError(f"{package} cannot be loaded: {error}") from error
        raise KwsError(f"{package} is needed here: pip install 'kws[{extra}]'") from error
    except (ImportError, OSError) as error:  # a shared library such as PortAudio is missing
        raise KwsError(f"{package} is installed but cannot be loaded: {error}") from error
