"""Shards: what is packed comes out again, everything once an epoch, in an order that a restart repeats."""

import csv
import functools
import http.server
import logging
import shutil
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from corpora import write_corpus

torch = pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("soundfile")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kws.cli.main import main  # noqa: E402
from kws.data.clips import Clips, load_clips  # noqa: E402
from kws.data.manifest import Utterance, read_manifest  # noqa: E402
from kws.data.scenes.dataset import SceneConfig, SceneDataset, SceneSource  # noqa: E402
from kws.data.shards import INDEX, ShardSource, find_shards, pack  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from room import small_disk  # noqa: E402

TEXTS = [f"word{i}" for i in range(13)]  # two training clips and a dev clip of each
PER_SHARD = 3


def silent(line: str) -> None:
    """A report that nobody reads."""


def one_token(clips: Clips, share: float) -> SceneSource:
    """Targets that tell the clips apart, without a lexicon."""
    return SceneSource(clips, [np.array([TEXTS.index(row.text)]) for row in clips.utterances], share)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("data") / "words", TEXTS, seconds=0.1)


@pytest.fixture(scope="module")
def packed(corpus) -> Path:
    pack(corpus, corpus.parent / "packed", PER_SHARD, silent)
    return corpus.parent / "packed"


@pytest.fixture
def copy(packed, tmp_path) -> Path:
    return shutil.copytree(packed, tmp_path / "packed")


def opened(folder: Path):
    found = find_shards(folder.parent, folder.name)
    assert found is not None
    return found


def source(folder: Path, seed: int = 0) -> ShardSource:
    found = opened(folder)
    return ShardSource(found, found.split("train"), 1.0, 10.0, one_token, seed)


def said(row: Utterance) -> tuple[str, str, str]:
    return row.speaker, row.text, row.split


def test_what_is_packed_comes_out_with_all_that_the_manifest_says(corpus, packed, tmp_path):
    rows = read_manifest(corpus)
    decoded = load_clips(rows, tmp_path, silent)
    expected = {said(row): decoded.read(i) for i, row in enumerate(decoded.utterances)}
    found = opened(packed)
    for split in ("train", "dev"):
        shards = found.split(split)
        assert [shard.clips for shard in shards[:-1]] == [PER_SHARD] * (len(shards) - 1)
        clips = found.load(shards)
        assert {said(row) for row in clips.utterances} == {key for key in expected if key[2] == split}
        for i, row in enumerate(clips.utterances):
            assert np.array_equal(clips.read(i), expected[said(row)])
            assert row.audio.suffix == ".wav" and row.seconds == 0.1
    assert [row.text for row in found.load(found.split("dev")).utterances] != TEXTS, "packed in a drawn order"


def test_any_tar_program_can_read_a_shard(packed):
    with tarfile.open(packed / "train-000000.tar") as tar:
        names = tar.getnames()
    assert [Path(name).suffix for name in names] == [".flac", ".json"] * PER_SHARD


@given(world=st.integers(1, 4), seed=st.integers(0, 99), epoch=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_readers_see_everything_once_an_epoch_and_nothing_twice(packed, world, seed, epoch):
    readers = [source(packed, seed).part(rank, world) for rank in range(world)]
    seen = [shard.file for reader in readers for window in reader.windows(epoch) for shard in window]
    assert sorted(seen) == [shard.file for shard in source(packed).shards]


def stream(reader: ShardSource, first: int, end: int) -> list[set[str]]:
    """The speakers of the clips in the window of each place in a stream."""
    return [{row.speaker for row in reader.at(k).clips.utterances} for k in range(first, end)]


@pytest.mark.parametrize("rank", range(4))
def test_a_restart_at_any_clip_goes_on_as_if_nothing_had_happened(packed, rank):
    whole = stream(source(packed).part(rank, 4), 0, 15)
    for k in (1, 4, 9, 14):
        assert stream(source(packed).part(rank, 4), k, 15) == whole[k:]
    assert len(set(map(frozenset, whole))) > 2, "one window must not be all"


def test_the_windows_of_two_processes_of_two_readers_hold_each_clip_once(packed):
    speakers = []
    for rank in range(4):
        reader = source(packed).part(rank, 4)
        for window in reader.windows(epoch=3):
            speakers += [row.speaker for row in opened(packed).load(window).utterances]
    assert len(speakers) == len(set(speakers)) == 2 * len(TEXTS)


def test_the_order_differs_by_epoch_and_is_fixed_by_the_seed(packed):
    one, same, other = (source(packed, seed) for seed in (0, 0, 1))
    assert one.windows(0) == same.windows(0) != other.windows(0)
    assert one.windows(0) != one.windows(1)


def scenes(folder: Path, rank: int = 0) -> SceneDataset:
    config = SceneConfig(rows=4, row_seconds=1.0, room_probability=0.0)
    return SceneDataset({"words": source(folder)}, None, config, seed=5).part(rank, 2)


def test_a_batch_from_shards_is_the_same_after_a_restart(packed):
    running = scenes(packed)
    batches = [running[step] for step in range(12)]
    for step in (11, 5, 6):
        for name, value in scenes(packed)[step].items():
            assert torch.equal(value, batches[step][name]), name
    heard = {int(target) for batch in batches for target in batch["targets"]}
    assert len(heard) > PER_SHARD * 2, "the window moves on"
    assert not torch.equal(scenes(packed, rank=1)[0]["pcm"], batches[0]["pcm"])


def test_one_window_is_held_however_long_the_stream(packed):
    reader = source(packed)
    assert max(len(reader.at(k).clips) for k in range(60)) <= 2 * PER_SHARD
    assert len(reader._held) == 1


def damage(path: Path, suffix: str) -> str:
    """Changes a byte in the middle of the first member of a kind; returns its name."""
    with tarfile.open(path) as tar:
        member = next(m for m in tar.getmembers() if m.name.endswith(suffix))
    data = bytearray(path.read_bytes())
    data[member.offset_data + member.size // 2] ^= 0xFF
    path.write_bytes(data)
    return member.name.removesuffix(suffix)


@pytest.mark.parametrize("suffix", [".flac", ".json"])
def test_a_damaged_member_is_named_and_skipped(copy, caplog, suffix):
    name = damage(copy / "train-000001.tar", suffix)
    with caplog.at_level(logging.WARNING):
        clips = opened(copy).load(opened(copy).split("train"))
    assert len(clips) == 2 * len(TEXTS) - 1 and len(clips.skipped) == 1
    assert name in clips.skipped[0] and name in caplog.text


def test_a_disk_without_room_for_a_shard_is_named_and_given_back(corpus, tmp_path):
    with small_disk(tmp_path / "packed", 12_288):
        with pytest.raises(OSError, match=r"(No space left on device|File too large): '.*packed/dev-000000\.tar'"):
            pack(corpus, tmp_path / "packed", 50, silent)
        assert list((tmp_path / "packed").iterdir()) == []


@pytest.mark.parametrize("keep", [0, 600, 1024, 3000, -1])
def test_a_shard_that_is_not_whole_ends_in_one_sentence(copy, keep):
    path = copy / "train-000001.tar"
    if keep < 0:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(KwsError, match=r"train-000001\.tar (cannot be read to its end|holds \d clips)"):
        opened(copy).load(opened(copy).split("train"))


def test_a_clip_that_cannot_be_decoded_is_named_when_packing(corpus, tmp_path):
    whole = shutil.copytree(corpus, tmp_path / "words")
    (whole / "3" / "0.wav").write_text("no audio")
    lines: list[str] = []
    pack(whole, tmp_path / "packed", 5, lines.append)
    found = opened(tmp_path / "packed")
    assert sum(shard.clips for shard in found.shards) == 3 * len(TEXTS) - 1
    assert "skipped 1 of 39" in lines[0] and "0.wav" in found.skipped[0]


def test_the_command_packs_and_says_what(corpus, tmp_path, capsys):
    words = ["data", "pack", str(corpus), "-o", str(tmp_path / "packed"), "--clips-per-shard", "20"]
    assert main(words) == 0
    assert f"packed 39 clips, 0.00 h, into 3 shards in {tmp_path / 'packed'}" in capsys.readouterr().out
    assert main(words) == 1 and "already" in capsys.readouterr().err
    assert main(words[:3]) == 1 and "kws data pack MANIFEST -o DIR" in capsys.readouterr().err


def test_packing_refuses_what_is_packed_and_speakers_in_two_splits(corpus, packed, tmp_path):
    with pytest.raises(KwsError, match="holds a packed corpus already"):
        pack(corpus, packed, 5, silent)
    with (corpus / "manifest.csv").open(newline="") as file:
        rows = [{**row, "speaker": "all"} for row in csv.DictReader(file)]
    with (corpus / "one.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(KwsError, match="more than one split"):
        pack(corpus / "one.csv", tmp_path / "one", 5, silent)
    assert find_shards(tmp_path, "one") is None


def test_more_readers_than_shards_is_one_sentence(packed):
    with pytest.raises(KwsError, match=r"9 shards .* cannot be dealt to 10 processes: pack"):
        source(packed).part(0, 10)


def test_an_index_of_something_else_is_one_sentence(tmp_path):
    (tmp_path / INDEX).write_text('{"format": "other"}')
    with pytest.raises(KwsError, match="is of format other"):
        opened(tmp_path)
    (tmp_path / INDEX).write_text("<html>")
    with pytest.raises(KwsError, match="cannot be read as the index"):
        opened(tmp_path)


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset opens URLs with curl")
def test_shards_are_streamed_from_a_web_server(packed, corpus):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(self.path)

    asked: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=packed.parent)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/packed"
        far, near = find_shards(Path("unused"), url), opened(packed)
        clips, expected = far.load(far.split("dev")), near.load(near.split("dev"))
        with pytest.raises(KwsError, match="cannot be read"):
            find_shards(Path("unused"), f"{url}-nowhere")
        server.shutdown()
    assert np.array_equal(clips.pcm, expected.pcm) and clips.utterances == expected.utterances
    assert {Path(path).name for path in asked} >= {INDEX, "dev-000000.tar"} and not any("train" in p for p in asked)


def test_a_recipe_trains_on_shards_and_goes_on_to_the_same_numbers(packed, tmp_path):
    pytest.importorskip("pytorch_lightning")
    pytest.importorskip("pocketsphinx")
    from kws.model.acoustic import AcousticConfig
    from kws.model.checkpoint import load_checkpoint
    from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig, TrainingCorpus
    from kws.train.trainer import train

    def recipe(output: str, steps: int) -> Recipe:
        return Recipe(
            "shards",
            TaskConfig(
                str(packed.parent),
                tuple(TrainingCorpus(name, "made", "none", "nobody", 0.5) for name in ("packed", "words")),
                None, ("computer",),
                model=AcousticConfig(width=16, blocks=1, heads=2, channels=8, window_frames=8),
                scenes=SceneConfig(rows=2, row_seconds=1.0),
            ),
            RunConfig(str(tmp_path / output), threads=1),
            OptimConfig(steps=steps, steps_per_epoch=2, validate_every=2, warmup_steps=2, precision="32-true"),
        )  # fmt: skip

    whole = load_checkpoint(train(recipe("whole", 4))).model.state_dict()
    assert all(torch.isfinite(value).all() for value in whole.values())
    # a training that was killed after its first epoch: only its last.ckpt is there
    half = recipe("half", 4)
    interrupted(half, tmp_path)
    again = load_checkpoint(train(half)).model.state_dict()
    assert all(torch.equal(again[name], value) for name, value in whole.items())


def interrupted(recipe, folder: Path) -> None:
    """Trains until the first checkpoint is written, and no further."""
    from kws.train import trainer

    class Killed(Exception):
        pass

    def killed(self, trainer, pl_module):
        write(self, trainer, pl_module)
        raise Killed

    write = trainer.EpochCheckpoint.on_train_epoch_end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.EpochCheckpoint, "on_train_epoch_end", killed)
        with pytest.raises(Killed):
            trainer.train(recipe)
