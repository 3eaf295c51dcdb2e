"""Export: one file, verified, refused when it differs; the device hears from it what the checkpoint says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from checkpoints import checkpoint  # noqa: E402
from command import kws  # noqa: E402
from kws.cli.main import main  # noqa: E402
from kws.export import verify, write  # noqa: E402
from kws.metadata import METADATA_KEY  # noqa: E402
from kws.model.mixers import STREAMING, parse_pattern  # noqa: E402
from kws.runtime.session import OnnxModel  # noqa: E402
from trees import ROOT  # noqa: E402

# An export takes seconds, and more for each block than for the one before: each pattern asks about a few mixers.
PATTERNS = [
    "xsa,gru,lstm",
    "sa,approximate,nonapproximate,static",
    "random,fixed+xsa,xsa+null+gate+centre,sa+nodiag+prev,static+offdir+sink",
    "none,lowrank+xsa,memory",
]


Exported = Callable[[str, int], tuple[CompletedProcess[str], Path]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Exported:
    """What the command says of a pattern and of so many frames a chunk, and the file that it wrote: each once."""
    made = {}

    def export(mixer: str, chunk_frames: int) -> tuple[CompletedProcess[str], Path]:
        if (mixer, chunk_frames) not in made:
            folder = tmp_path_factory.mktemp("exported")
            words = "-o", folder / "out.onnx", "--name", "mine", "--chunk-frames", chunk_frames
            made[mixer, chunk_frames] = kws("export", checkpoint(folder / "m.ckpt", mixer), *words), folder / "out.onnx"
        return made[mixer, chunk_frames]

    return export


def test_every_streaming_mixer_is_exported_below():
    assert {spec.base for pattern in PATTERNS for spec in parse_pattern(pattern)} == set(STREAMING)


@pytest.mark.parametrize(("mixer", "chunk_frames"), [*((pattern, 2) for pattern in PATTERNS), ("xsa,lstm,memory", 1)])
def test_onnx_stream_equals_torch_whole(mixer, chunk_frames, exported):
    done, path = exported(mixer, chunk_frames)
    assert done.returncode == 0, done.stderr
    model = OnnxModel.load(path)
    assert onnx.load(str(path)).ir_version == 9  # what the lowest onnxruntime that is declared reads
    assert model.info.chunk_samples == chunk_frames * 640
    assert model.info.keywords[0].name == "hey you"
    assert model.info.training.data[0].licence == "CC0"
    from kws.model.checkpoint import load_checkpoint

    reference = load_checkpoint(path.with_name("m.ckpt")).model
    assert verify.largest_difference(reference, path) <= 1e-4
    most = 1 if "memory" in mixer else 4  # a window of 8 frames
    assert model.info.chunks_per_call == most
    for batch in (1, 3):
        pcm = verify.probe(batch, 24 * 1280)
        alone = verify.in_calls(model, pcm, model.info.chunk_samples)
        for chunks in range(2, most + 1):
            together = verify.in_calls(model, pcm, chunks * model.info.chunk_samples)
            assert np.array_equal(alone, together), "not a bit differs, however chunks are put together"


def test_command_writes_one_verified_file(exported):
    done, path = exported(PATTERNS[0], 2)
    assert done.returncode == 0, done.stderr
    assert "differs from torch by" in done.stdout
    assert sorted(p.name for p in path.parent.iterdir()) == ["m.ckpt", "out.onnx"], "nothing else is left behind"
    assert OnnxModel.load(path).info.name == "mine"


def test_a_graph_that_differs_is_not_written(exported, tmp_path, monkeypatch, capsys):
    """The frontend's window is bent in the exported graph only: verification must see it."""

    def bent(model, chunk_frames):
        proto = onnx.load(exported(PATTERNS[0], 2)[1])
        for tensor in proto.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if array.shape == (25, 16):
                tensor.CopyFrom(onnx.numpy_helper.from_array(array * 1.01, tensor.name))
        return proto

    monkeypatch.setattr(write, "export_graph", bent)
    path = tmp_path / "out.onnx"
    assert main(["export", str(checkpoint(tmp_path / "m.ckpt", PATTERNS[0])), "-o", str(path)]) == 1
    assert "ONNX and torch differ" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.ckpt", "-o", "x.onnx"], "no checkpoint missing.ckpt"),
        ([__file__, "-o", "x.onnx"], "is not a checkpoint of kws"),
    ],
)
def test_mistakes_are_one_sentence(arguments, sentence, capsys):
    assert main(["export", *arguments]) == 1
    assert sentence in (told := capsys.readouterr().err) and told.count("\n") == 1


def test_a_segment_model_is_refused(tmp_path, capsys):
    assert main(["export", str(checkpoint(tmp_path / "m.ckpt", "bilstm")), "-o", str(tmp_path / "m.onnx")]) == 1
    assert "bilstm sees whole segments" in capsys.readouterr().err


def test_the_file_holds_no_machine_and_halves_its_weights(exported):
    path = exported(PATTERNS[0], 2)[1]
    content = path.read_bytes()
    assert str(ROOT).encode() not in content
    assert b".py" not in content, "the exporter's notes on source lines are left out"
    proto = onnx.load(path)
    assert [p.key for p in proto.metadata_props] == [METADATA_KEY]
    kinds = {onnx.numpy_helper.to_array(t).dtype for t in proto.graph.initializer if np.prod(t.dims) > 2000}
    assert np.dtype(np.float16) in kinds


def test_a_model_may_look_further_back_than_a_call_is_long(tmp_path):
    """2.56 s of the past, in calls of at most 1.28 s; its level is followed from call to call."""
    from kws.model.acoustic import AcousticModel
    from kws.model.checkpoint import load_checkpoint, save_checkpoint

    small = load_checkpoint(checkpoint(tmp_path / "small.ckpt", "sa"))
    config = replace(small.model.config, blocks=1, window_frames=64, follow_level=True, extend_band=True)
    save_checkpoint(tmp_path / "m.ckpt", AcousticModel(config), small.recipe, small.spellings, small.spent)
    written = write.write_model(tmp_path / "m.ckpt", tmp_path / "m.onnx")
    assert written.difference <= 1e-4
    assert OnnxModel.load(tmp_path / "m.onnx").info.chunks_per_call == 16
