"""A prepared corpus whose own files are empty, cut or of another kind, as a power cut leaves them."""

import numpy as np
import pytest

from corpora import write_wav
from damage import WAYS, damage

pytest.importorskip("av")
pytest.importorskip("soxr")
pytest.importorskip("tqdm")

from kws.data.corpora import folder
from kws.errors import KwsError


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["manifest.csv", "skipped.csv", "prepared.json"])
def test_the_same_command_makes_it_again_or_names_what_to_delete(tmp_path, name, way):
    source, root = tmp_path / "in", tmp_path / "out"
    for number in range(6):
        path = source / f"word {number % 2}" / "ann" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(path, np.random.default_rng(number).normal(0, 0.1, 16_000).astype(np.float32))
    (source / "word 0" / "ann" / "bad.wav").write_bytes(b"RIFF")
    before = folder.CORPUS.prepare(root, source)
    damage(root / name, way)
    told = answer(root, source)
    if name == "prepared.json":
        assert told == "made again"
    else:
        assert name in told and "delete" in told
        (root / "manifest.csv").unlink()
        (root / "skipped.csv").unlink()
        assert answer(root, source) == "made again"
    found = folder.CORPUS.prepare(root, source)
    assert (found.rows, found.skipped, found.notes) == (before.rows, before.skipped, before.notes)


def answer(root, source) -> str:
    try:
        found = folder.CORPUS.prepare(root, source)
    except KwsError as error:
        return str(error)
    return "made again" if found.fresh else found.notes[-1]
