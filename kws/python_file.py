"""Python files of the user's own, loaded by path: recipes, studies, mixers and adapters
that lie outside of kws.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from kws.errors import KwsError


def load_python_file(path: Path) -> ModuleType:
    """Run a Python file as a module of its own and return the module.

    Raises KwsError where there is no such file or it is not a Python file. What the
    file itself raises passes through.
    """
    if not path.is_file():
        raise KwsError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"{path.stem}_{path.absolute().parent.name}", path)
    if spec is None or spec.loader is None:
        raise KwsError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as an import does: dataclasses look there for what a class refers to
    spec.loader.exec_module(module)
    return module
