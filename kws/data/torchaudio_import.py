"""The one place that imports torchaudio.

torchaudio 2.11 from PyPI is built for CUDA: beside a CPU build of torch its compiled
extension does not load, and `import torchaudio` fails with it, although everything that
kws uses of it is plain Python (transforms, dataset classes). Where only the extension
fails, a stand-in that says "no extension" takes its place.
"""

import sys
from types import ModuleType
from typing import Any

from kws.errors import KwsError, install


def load_torchaudio() -> ModuleType:
    """The torchaudio module; its compiled functions (forced_align, rnnt_loss) may be
    missing.
    """
    try:
        import torchaudio
    except ModuleNotFoundError as error:
        raise KwsError(f"this needs the package torchaudio: {install('train')}") from error
    except (OSError, RuntimeError):  # RuntimeError: built for another CUDA than torch
        return _without_extension()
    loaded: ModuleType = torchaudio
    return loaded


def _without_extension() -> ModuleType:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        del sys.modules[name]
    extension: Any = ModuleType("torchaudio._extension")
    extension._IS_TORCHAUDIO_EXT_AVAILABLE = False
    extension._IS_ALIGN_AVAILABLE = False
    extension._check_cuda_version = lambda: None
    extension._load_lib = lambda name: False
    extension.fail_if_no_align = _refuse
    sys.modules["torchaudio._extension"] = extension
    import torchaudio

    loaded: ModuleType = torchaudio
    return loaded


def _refuse(function: Any) -> Any:
    def missing(*_: Any, **__: Any) -> Any:
        raise KwsError(
            f"torchaudio's compiled extension does not load beside this torch, and {function.__name__} is part of it: "
            "install the torch and torchaudio builds that belong together"
        )

    return missing
