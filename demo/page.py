"""Writing the page that hears keywords in the browser: a folder that any static file
server can serve.

Its HTML, CSS and JavaScript lie in demo/web; `kws web` is the command.
"""

import json
import tarfile
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from kws.data import packages
from kws.errors import KwsError
from kws.files import together, write_bytes, write_text
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import shipped

# 14 MB that browsers run: not kept in the repository or the wheel, but fetched when
# asked for, and then served from beside the page. The archive has no licence file of
# its own; its package.json and the first lines of ort.js say MIT.
RUNTIME = ("onnxruntime-web", "1.30.0")
RUNTIME_SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
RUNTIME_FILES = {  # renamed, for some servers give .mjs a type that browsers refuse
    "ort.js": ("ort.wasm.bundle.min.mjs", "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90"),
    "ort.wasm": ("ort-wasm-simd-threaded.wasm", "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"),
}


def write_site(folder: Path, models: Sequence[OnnxModel]) -> None:
    """Writes all files of the page but the runtime, or none of them. Raises KwsError
    for two models of the same name.
    """
    for name, count in Counter(model.path.stem for model in models).items():
        if count > 1:
            raise KwsError(f"two of the models are named {name}: rename the file of one")
    with together(folder) as partial:
        (partial / "models").mkdir()
        for model in models:
            target = folder / "models" / model.path.name
            if not (target.exists() and target.samefile(model.path)):
                write_bytes(partial / "models" / model.path.name, model.path.read_bytes())
        listed = [{"name": model.path.stem, "file": f"models/{model.path.name}"} for model in models]
        write_text(partial / "models.json", json.dumps(listed, indent=2) + "\n")
        demo = resources.files("kws.demo")
        for file in (demo / "web").iterdir():
            if file.name.endswith((".html", ".css", ".js")):
                write_bytes(partial / file.name, file.read_bytes())
        write_bytes(partial / "example.wav", (demo / "hear.wav").read_bytes())


def has_runtime(folder: Path) -> bool:
    """Whether the two files of the runtime are in the folder and whole."""
    return all(packages.is_whole(folder / name, sha256) for name, (_, sha256) in RUNTIME_FILES.items())


def bring_runtime(folder: Path, *, download: bool) -> None:
    """Puts onnxruntime-web's two files into a folder, unless they are there and whole.

    Raises KwsError where they are not and `download` is False, or where npm, the
    archive or its checksum fails.
    """
    if has_runtime(folder):
        return
    name, version = RUNTIME
    if not download:
        raise KwsError(
            f"the page runs on {name} {version} (MIT), which is not in {folder}: --download fetches it through npm"
        )
    folder.mkdir(parents=True, exist_ok=True)
    archive = packages.npm_archive(name, version, RUNTIME_SHA256, folder, "what runs a model in the browser comes")
    with tarfile.open(archive) as tar:
        for target, (member, _) in RUNTIME_FILES.items():
            source = tar.extractfile(f"package/dist/{member}")
            assert source is not None  # the checksum was right
            write_bytes(folder / target, source.read())
    archive.unlink()


def shipped_with_keywords() -> list[OnnxModel]:
    """The shipped models that have keywords, few keywords first: the page opens with
    the first.
    """
    models = [OnnxModel.load(path) for path in shipped().values()]
    found = [model for model in models if model.info.keywords]
    return sorted(found, key=lambda model: len(model.info.keywords))
