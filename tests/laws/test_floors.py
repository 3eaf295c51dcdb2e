"""Imports go down only, and every package has its owners."""

import subprocess
import sys

import pytest

from trees import MODULES, Module, below, pretend

# Who may know whom inside kws: a module belongs to the longest entry that fits.
ZERO = {
    "kws.arrays",
    "kws.controls",
    "kws.errors",
    "kws.files",
    "kws.jsonable",
    "kws.log",
    "kws.digits",
    "kws.onnxruntime_import",
    "kws.python_file",
    "kws.units",
    "kws.audio",
    "kws.lexicon",
    "kws.events",
}
ONE = {"kws.decoding", "kws.metadata"}
BELOW = ZERO | ONE
ABOVE = {"kws.data", "kws.train", "kws.evaluate"}
WINGS = {"kws.runtime", "kws.model", "kws.parallel"}
LEAVES = {"kws.demo", "kws.export", "kws.lab", "kws.recipes", "kws.wyoming"}
MAY_KNOW: dict[str, set[str]] = {
    "kws": {"kws.cli.main"},
    "kws.cli": BELOW | ABOVE | WINGS | LEAVES | {"kws.cli"},
    "kws.cli.main": {"kws.cli", "kws.errors"},  # `kws --help` imports no verb
    **dict.fromkeys(ZERO, ZERO),
    **dict.fromkeys(ONE, BELOW),
    "kws.parallel": BELOW | {"kws.parallel"},
    "kws.runtime": BELOW | {"kws.runtime"},
    "kws.model": BELOW | {"kws.model"},
    **dict.fromkeys(ABOVE, BELOW | ABOVE | WINGS),
    "kws.export": BELOW | ABOVE | WINGS | {"kws.export"},
    "kws.lab": BELOW | ABOVE | WINGS | {"kws.export", "kws.lab"},
    "kws.demo": BELOW | ABOVE | {"kws.runtime", "kws.demo"},
    "kws.wyoming": BELOW | {"kws.runtime", "kws.wyoming"},
    "kws.recipes": BELOW | ABOVE | WINGS | {"kws.export", "kws.lab", "kws.recipes"},
}

# Packages and standard modules that only the named modules may load, submodules included.
NETWORK = ("aiohttp", "ftplib", "http", "httpx", "requests", "socket", "ssl", "urllib.request", "urllib3")
OWNERS: dict[str, set[str]] = {
    # the latter two for its types
    "onnxruntime": {"kws.onnxruntime_import", "kws.runtime.session", "kws.runtime.strangers"},
    "torch": {"kws.model", "kws.data", "kws.train", "kws.export", "kws.lab", "kws.recipes"},
    "torchaudio": {"kws.data"},
    "pytorch_lightning": {"kws.train"},
    # what writes model files, and what opens a teacher's
    "onnx": {"kws.export", "kws.evaluate.count.thresholds", "kws.train.verifier.teacher"},
    "onnxscript": {"kws.export"},
    "sounddevice": {"kws.demo"},
    "matplotlib": {"kws.demo", "kws.evaluate", "kws.lab", "kws.runtime.explain.figure"},
    "av": {"kws.audio.media"},
    "librosa": set(),  # tests alone compare with it
    "webdataset": {"kws.data.shards"},  # opens files and URLs that the user names
    "pyroomacoustics": {"kws.data.corpora.rooms"},
    # elsewhere time is a sample count
    "time": {"kws.cli.keywords", "kws.demo", "kws.runtime.bench.measure", "kws.lab.cost", "kws.train.process.progress"},
    "timeit": set(),
    "random": set(),  # randomness comes from a generator that was passed in
    **{name: {"kws.data.download"} for name in NETWORK},
    "socket": {"kws.data.download", "kws.wyoming"},
    "wyoming": {"kws.wyoming"},
    "zeroconf": {"kws.wyoming.announce"},
}
OPTIONAL = {"av", "soxr"}  # what floor 0 may `require` inside a function


def floor_of(name: str) -> str:
    """The entry of MAY_KNOW for a module of kws; "kws" for the package itself and __main__."""
    entries = [entry for entry in MAY_KNOW if entry != "kws" and below(name, entry)]
    assert entries or name in ("kws", "kws.__main__"), f"{name} stands on no floor: give it one in MAY_KNOW"
    return max(entries, key=len, default="kws")


def imports_that_go_up(modules: list[Module]) -> list[str]:
    return [
        f"{module.where(node)}: {module.name} may not know {name}"
        for module in modules
        if module.name != "kws"  # its public names are loaded when first asked for: see test_cli.py
        for node, name in (*module.imports(), *module.loads())
        if name.startswith("kws.")
        if floor_of(name) not in MAY_KNOW[floor_of(module.name)]
    ]


def imports_by_strangers(modules: list[Module]) -> list[str]:
    return [
        f"{module.where(node)}: {name} is for {', '.join(sorted(owners)) or 'nobody'}"
        for module in modules
        for node, name in (*module.imports(), *module.loads())
        for package, owners in OWNERS.items()
        if below(name, package) and not module.within(owners)
    ]


def imports_beyond_numpy(modules: list[Module]) -> list[str]:
    standard = sys.stdlib_module_names | {"kws", "numpy"}
    return [
        f"{module.where(node)}: {name} is more than numpy and the standard library"
        for module in modules
        if module.within(BELOW)
        for found, allowed in ((module.imports(), standard), (module.loads(), standard | OPTIONAL))
        for node, name in found
        if name.partition(".")[0] not in allowed
        if not (module.name == "kws.onnxruntime_import" and name == "onnxruntime")
    ]


def vain_owners(modules: list[Module]) -> list[str]:
    """Owners that do not load their package, or need no permission beside another owner's."""
    loaded = [(module, name) for module in modules for _, name in (*module.imports(), *module.loads())]
    return [
        f"{owner} does not load {package}"
        for package, owners in OWNERS.items()
        if package not in NETWORK
        for owner in sorted(owners)
        if not any(
            below(name, package) and module.within({owner}) and not module.within(owners - {owner})
            for module, name in loaded
        )
    ]


RULES = [imports_that_go_up, imports_by_strangers, imports_beyond_numpy]
BREACHES = [
    (imports_that_go_up, "kws.runtime.x", "from kws.model import encoder"),
    (imports_that_go_up, "kws.runtime.x", "import kws.model.encoder"),
    (imports_that_go_up, "kws.units", "from kws import decoding"),
    (imports_that_go_up, "kws.units", "from kws import Detector"),
    (imports_that_go_up, "kws.train.x", "def f():\n    from ..demo import hear"),
    (imports_that_go_up, "kws.train.x", "import_module('kws.export.write')"),
    (imports_by_strangers, "kws.runtime.x", "import torch"),
    (imports_by_strangers, "kws.runtime.detector", "import onnxruntime as ort"),
    (imports_by_strangers, "kws.export.x", "require('onnxruntime', 'train')"),
    (imports_by_strangers, "kws.train.x", "from urllib import request"),
    (imports_by_strangers, "kws.train.x", "from time import monotonic"),
    (imports_beyond_numpy, "kws.audio", "def f():\n    import soundfile"),
    (imports_beyond_numpy, "kws.audio", "require('librosa', 'audio')"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no(rule):
    assert rule(MODULES) == []


@pytest.mark.parametrize(("rule", "name", "source"), BREACHES, ids=[breach[2] for breach in BREACHES])
def test_the_rule_notices(rule, name, source):
    assert rule(pretend(name, source)) != []


def test_no_owner_is_vain():
    assert vain_owners(MODULES) == []


def test_a_vain_owner_is_noticed():
    assert "kws.data.shards does not load webdataset" in vain_owners(pretend("kws.data.shards", "import json"))
    assert "kws.data.shards does not load webdataset" not in vain_owners(
        pretend("kws.data.shards", "require('webdataset', 'train')")
    )


def test_what_is_allowed_passes():
    source = "import numpy as np\nfrom kws.errors import require\nsoxr = require('soxr', 'audio')"
    assert [rule(pretend("kws.audio", source)) for rule in RULES] == [[], [], []]


def test_the_device_wing_loads_without_the_training_wing():
    """What the trees promise, asked of a fresh interpreter."""
    command = {"kws.cli.main", "kws.cli.stopping", "kws.cli.terminal"}
    device = [module.name for module in MODULES if module.within(BELOW | {"kws.runtime"} | command)] + ["kws.cli"]
    loaded = modules_after(f"for name in {device!r}: __import__(name)")
    assert {name for name in loaded if below(name, "kws")} <= {"kws", *device}
    brought = {name.partition(".")[0] for name in modules_after("import onnxruntime")}
    assert {name.partition(".")[0] for name in loaded} <= brought | sys.stdlib_module_names | {"kws"}


def modules_after(script: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a script."""
    script = f"import sys\n{script}\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )
