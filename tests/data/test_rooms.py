"""Simulated rooms."""

import numpy as np
import pytest

pytest.importorskip("pyroomacoustics", reason="of the extra `rooms`")

from kws.audio import read
from kws.data.corpora import rooms
from kws.data.corpora.rooms import CORPUS
from kws.errors import KwsError


def test_a_response_begins_with_its_direct_sound_and_dies_away():
    for response in rooms.simulate(np.random.default_rng(1)):
        assert response[0] == 1.0 and np.abs(response).max() < 3.0
        assert np.sum(response[len(response) // 2 :] ** 2) < 0.1 * np.sum(response**2)


def test_rooms_follow_from_the_seed_and_are_computed_once(tmp_path, monkeypatch):
    first = CORPUS.prepare(tmp_path / "a", rooms=2)
    assert len(first.rows) == 2 * rooms.PLACES and not first.skipped
    other = CORPUS.prepare(tmp_path / "b", rooms=2, seed=1)
    monkeypatch.setattr(rooms, "simulate", lambda rng: pytest.fail("computed twice"))
    again = CORPUS.prepare(tmp_path / "a", rooms=2)
    assert not again.fresh and again.rows == first.rows
    monkeypatch.undo()
    same = CORPUS.prepare(tmp_path / "c", rooms=2)
    for one, two, three in zip(first.rows, same.rows, other.rows, strict=True):
        assert one.split == two.split
        np.testing.assert_array_equal(read(one.audio), read(two.audio))
        assert not np.array_equal(read(one.audio), read(three.audio))


def test_rooms_are_not_read_from_a_folder(tmp_path):
    with pytest.raises(KwsError, match="leave --from away"):
        CORPUS.prepare(tmp_path, tmp_path)
