"""Fetching, against a real server that can break off in the middle."""

import hashlib
import io
import tarfile
import zipfile

import pytest

import layouts
from file_server import file_server  # noqa: F401
from kws.cli.main import main
from kws.errors import KwsError

pytest.importorskip("soundfile", reason="recordings are read by soundfile, of the extra `audio`")
pytest.importorskip("tqdm", reason="of the extra `train`")

from kws.data.corpora import librispeech, speech_commands
from kws.data.download import Archive, bring, extract, fetch

CONTENT = bytes(i * i % 251 for i in range(300_000))


@pytest.fixture
def server(file_server):  # noqa: F811
    file_server.files["/a.bin"] = CONTENT
    return file_server


def sha(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_what_is_here_is_not_fetched_again(server, tmp_path):
    archive = Archive(server.url(), sha(CONTENT))
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None]


@pytest.mark.parametrize("checksum", [sha(CONTENT), "md5:" + hashlib.md5(CONTENT).hexdigest(), ""])
def test_a_fetch_that_broke_off_goes_on_where_it_stopped(checksum, server, tmp_path):
    archive, server.cut = Archive(server.url(), checksum), 100_000
    with pytest.raises(KwsError, match=r"stopped after 0\.1 MB.*goes on from there"):
        fetch(archive, tmp_path)
    assert not (tmp_path / "a.bin").exists()
    server.cut = None
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_a_server_without_ranges_or_with_a_changed_file_starts_over(server, tmp_path):
    for spoil in ("ranges", "tag"):
        archive, server.cut = Archive(server.url(), sha(CONTENT)), 100_000
        with pytest.raises(KwsError):
            fetch(archive, tmp_path / spoil)
        server.cut = None
        setattr(server, spoil, False if spoil == "ranges" else '"two"')
        assert fetch(archive, tmp_path / spoil).read_bytes() == CONTENT
        server.ranges = True


def test_a_whole_partial_file_needs_nothing_more(server, tmp_path):
    (tmp_path / "a.bin.partial").write_bytes(CONTENT)
    assert fetch(Archive(server.url(), sha(CONTENT)), tmp_path).read_bytes() == CONTENT
    (tmp_path / "longer").mkdir()
    (tmp_path / "longer" / "a.bin.partial").write_bytes(CONTENT + b"more")
    assert fetch(Archive(server.url(), sha(CONTENT)), tmp_path / "longer").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(KwsError, match="checksum differs"):
        fetch(Archive(server.url(), sha(b"something else")), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_published_checksum_the_first_one_counts(server, tmp_path):
    archive = Archive(server.url())
    fetch(archive, tmp_path).unlink()
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    (tmp_path / "a.bin").unlink()
    server.files["/a.bin"] = CONTENT[::-1]
    with pytest.raises(KwsError, match="checksum differs"):
        fetch(archive, tmp_path)


def test_an_archive_put_there_by_hand_is_checked_and_kept(server, tmp_path):
    (tmp_path / "a.bin").write_bytes(CONTENT)
    fetch(Archive(server.url(), sha(CONTENT)), tmp_path)
    assert server.asked == []
    (tmp_path / "b.bin").write_bytes(b"other")
    with pytest.raises(KwsError, match="remove it"):
        fetch(Archive(server.url("/b.bin"), sha(CONTENT)), tmp_path)
    assert (tmp_path / "b.bin").exists()


def test_what_the_network_refuses_is_one_sentence(server, tmp_path):
    with pytest.raises(KwsError, match="404"):
        fetch(Archive(server.url("/nothing.tar")), tmp_path)
    with pytest.raises(KwsError, match="stopped after"):
        fetch(Archive("http://127.0.0.1:9/closed.tar"), tmp_path)


def tar_of(folder, members=()):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        if folder:
            tar.add(folder, ".")
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def evil(name, **fields):
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    info.size = 0 if "linkname" in fields else 4
    return info, b"evil"


@pytest.mark.parametrize(
    "member",
    [evil("../evil.wav"), evil("x/../../evil.wav"), evil("link", type=tarfile.SYMTYPE, linkname="/etc")],
    ids=["up", "deep", "link"],
)
def test_a_tar_that_leaves_its_folder_is_refused(member, tmp_path):
    (tmp_path / "bad.tar.gz").write_bytes(tar_of(None, [member]))
    with pytest.raises(KwsError, match="wants to write outside"):
        extract(tmp_path / "bad.tar.gz", tmp_path / "into")
    assert not list(tmp_path.rglob("evil*")) and not (tmp_path / "into" / "link").exists()


def test_a_zip_that_leaves_its_folder_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr("../evil.wav", "evil")
    with pytest.raises(KwsError, match="wants to write outside"):
        extract(tmp_path / "bad.zip", tmp_path / "into")
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda data: b"no archive", lambda data: b""])
def test_a_damaged_archive_is_one_sentence(spoil, tmp_path):
    layouts.demand(tmp_path / "made")
    (tmp_path / "a.tar.gz").write_bytes(spoil(tar_of(tmp_path / "made")))
    with pytest.raises(KwsError, match="damaged"):
        extract(tmp_path / "a.tar.gz", tmp_path / "into")


def test_unpacking_that_was_cut_short_is_done_again(server, tmp_path):
    layouts.demand(tmp_path / "made")
    server.files["/a.tar.gz"] = tar_of(tmp_path / "made")
    archive = Archive(server.url("/a.tar.gz"))
    bring(archive, tmp_path / "root", tmp_path / "root")
    files = sorted((tmp_path / "root").rglob("*.wav"))
    assert len(files) == 4
    for path in files:
        path.unlink()
    bring(archive, tmp_path / "root", tmp_path / "root")
    assert sorted((tmp_path / "root").rglob("*.wav")) == files and len(server.asked) == 1


def test_a_corpus_from_the_command_line_fetched_once_and_only_when_told(server, tmp_path, monkeypatch, capsys):
    made = tar_of(layouts.speech_commands(tmp_path / "made") / "speech_commands_v0.02")
    server.files["/v2.tar.gz"] = made
    monkeypatch.setitem(
        speech_commands.ARCHIVES, "v2", Archive(server.url("/v2.tar.gz"), sha(made), into="speech_commands_v0.02")
    )
    words = ["data", "speech_commands", "--root", str(tmp_path / "root")]
    assert main(words) == 1 and "--download" in capsys.readouterr().err and server.asked == []
    server.cut = len(made) // 2
    assert main([*words, "--download"]) == 1 and "goes on from there" in capsys.readouterr().err
    server.cut = None
    assert main([*words, "--download"]) == 0 and "80 clips" in capsys.readouterr().out
    assert main([*words, "--download"]) == 0 and "nothing has changed" in capsys.readouterr().out
    assert len(server.asked) == 2


def test_checksums_are_those_that_torchaudio_publishes():
    pytest.importorskip("torch", reason="of the extra `train`")
    from kws.data.torchaudio_import import load_torchaudio

    load_torchaudio()
    from torchaudio.datasets import librispeech as libri
    from torchaudio.datasets import speechcommands as commands

    ours = [*speech_commands.ARCHIVES.values(), *librispeech.ARCHIVES.values()]
    known = {archive.file: archive.checksum for archive in ours}
    theirs = {**commands._CHECKSUMS, **libri._CHECKSUMS}
    assert len(theirs) == 9
    assert {url.rpartition("/")[2]: f"sha256:{digest}" for url, digest in theirs.items()}.items() <= known.items()
