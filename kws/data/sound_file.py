"""Writing the sound files that kws makes itself."""

import io
from pathlib import Path

from kws.arrays import Samples
from kws.errors import require
from kws.files import write_bytes
from kws.units import SAMPLE_RATE


def write_sound(path: Path, samples: Samples, subtype: str = "PCM_16") -> None:
    """Samples (S,) at 16 kHz as the file's suffix says, whole or not at all.

    They are coded in memory: of a full disk libsndfile says "System error" alone, and
    an OSError says what is wrong. subtype: libsndfile's name of how a sample is kept.
    """
    coded = io.BytesIO()
    require("soundfile", extra="audio").write(coded, samples, SAMPLE_RATE, subtype=subtype, format=path.suffix[1:])
    write_bytes(path, coded.getvalue())
