"""Other engines behind adapters of a few lines, to be scored as a model of kws is.

Each engine is installed in an environment of its own, since their packages are at odds
with each other: `python benchmarks/peers.py` makes them, or `pip install` with the
packages in REQUIREMENTS. An adapter is a class with the methods of
`kws.evaluate.replay.systems.Engine`; an adapter of yours is scored by `kws score
FILE.py:CLASS`.
"""

import importlib
from collections.abc import Collection, Sequence
from pathlib import Path
from types import ModuleType

from kws.errors import KwsError, named
from kws.onnxruntime_import import refuse_telemetry

ENGINES = {  # name on the command line -> MODULE:CLASS of its adapter
    "microwakeword": "kws.evaluate.replay.engines.microwakeword:MicroWakeWord",
    "openwakeword": "kws.evaluate.replay.engines.openwakeword:OpenWakeWord",
    "pocketsphinx": "kws.evaluate.replay.engines.pocketsphinx:PocketSphinx",
    "porcupine": "kws.evaluate.replay.engines.porcupine:Porcupine",
}
# What was counted with; each set holds its models, so that nothing is fetched later.
REQUIREMENTS = {
    "microwakeword": ("pymicro-wakeword==2.5.0",),
    # tflite-runtime, which openwakeword asks for, has no wheels beyond Python 3.11 and does not load beside numpy 2
    "openwakeword": ("openwakeword==0.6.0", "pyopen-wakeword==1.1.0", "numpy<2"),
    "pocketsphinx": ("pocketsphinx==5.1.1",),
    "porcupine": ("pvporcupine==1.9.5",),
}


def package(module: str, engine: str) -> ModuleType:
    """The package of an engine, or a KwsError that says how to install it."""
    refuse_telemetry()
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a library of the package is not for this machine
        wanted = " ".join(f"'{requirement}'" for requirement in (*REQUIREMENTS[engine], ".[score]"))
        raise KwsError(
            f"{engine} lacks {module} ({error}): in an environment of its own, in the folder of kws, "
            f"pip install {wanted}"
        ) from error


def asked_for(keywords: Sequence[str], shipped: Collection[str], engine: str) -> dict[str, str]:
    """For each keyword's name, as in manifests, the model that hears it: a name in
    `shipped`, or a file.

    keywords: "alexa", or "jarvis=hey_jarvis" to hear a model under another name, or
    "jarvis=FILE" for a model of the user's; without any, all models that the engine
    ships. Raises KwsError for a model that the engine does not have.
    """
    spelled = {name.replace("_", " "): name for name in sorted(shipped)}
    if not keywords:
        return spelled
    found = {}
    for keyword in keywords:
        name, _, model = keyword.partition("=")
        wanted = (model or name).strip()
        model = spelled.get(wanted.replace("_", " "), wanted)
        if model not in shipped and not Path(model).is_file():
            model = named(wanted, spelled, f"model of {engine}")
        found[name.strip()] = model
    return found
