"""Bands that a telephone cuts off are filled; wide-band speech is left as it is."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kws import audio  # noqa: E402
from kws.evaluate.replay.recorded import over_telephone  # noqa: E402
from kws.model.frontend import FLOOR, LogMel  # noqa: E402
from kws.model.level import LevelledLogMel, make_frontend  # noqa: E402
from kws.model.upper_bands import MARGIN, UpperBands, read_table  # noqa: E402
from trees import ROOT  # noqa: E402

LOWER = read_table().shape[1] - 1  # bands below those that are predicted


def features(pcm: np.ndarray, *, extend_band: bool) -> np.ndarray:
    """(F, M) log-mel energies."""
    frontend = LogMel(40, extend_band=extend_band)
    pcm = torch.from_numpy(pcm[: pcm.size // 160 * 160].astype(np.float32))[None]
    return frontend(pcm, frontend.init_state(1))[0][0].numpy()


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return audio.read(ROOT / "demo/hear.wav")[: 20 * 16_000]


def test_wide_band_speech_is_left_nearly_as_it_is(speech):
    plain, extended = features(speech, extend_band=False), features(speech, extend_band=True)
    assert np.array_equal(plain[:, :LOWER], extended[:, :LOWER])
    raised = extended[:, LOWER:] - plain[:, LOWER:]
    assert raised.min() >= -1e-5 and (raised > 0.1).mean() < 0.1


def test_bands_of_a_telephone_get_what_speech_would_have_there_less_the_margin(speech):
    telephone = np.concatenate(list(over_telephone(iter([speech]))))
    wide, narrow = features(speech, extend_band=False), features(telephone, extend_band=False)
    filled = features(telephone, extend_band=True)
    loud = wide[:, :LOWER].max(axis=1) > 0
    cut = slice(LOWER + 2, None)  # the others are in the slope of the filter
    assert (wide - narrow)[loud, cut].mean() > 5
    assert (wide - filled)[loud, cut].mean() == pytest.approx(MARGIN, abs=1.5)


def test_silence_stays_silence():
    silence = features(np.zeros(16_000), extend_band=True)
    assert silence.max() < np.log(FLOOR) + 1


def test_a_table_of_other_bands_is_refused():
    with pytest.raises(ValueError, match="not of 80"):
        UpperBands(80, FLOOR)


@pytest.mark.parametrize("follow_level", [False, True])
def test_pieces_change_nothing(follow_level, speech):
    frontend = make_frontend(40, follow_level=follow_level, extend_band=True)
    assert isinstance(frontend, LevelledLogMel) == follow_level
    pcm = torch.from_numpy(speech[:32_000])[None]
    whole, _ = frontend(pcm, frontend.init_state(1))
    state, parts = frontend.init_state(1), []
    for piece in pcm.split(1_280, dim=1):
        part, state = frontend(piece, state)
        parts.append(part)
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-4)


def test_a_recipe_that_extends_the_band_says_so():
    from kws.model.config import AcousticConfig

    config = replace(AcousticConfig(), extend_band=True)
    assert AcousticConfig.from_dict(config.to_dict()) == config


def test_the_level_does_not_matter():
    assert read_table()[:, :-1].sum(axis=1) == pytest.approx(1, abs=1e-3)
