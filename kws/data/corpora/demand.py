"""DEMAND (Thiemann et al. 2013, doi 10.5281/zenodo.1227121): ENVIRONMENT/ch01.wav ...
ch16.wav of 5 min, 16 kHz.

The sixteen channels hear the same sound, so only the first is listed. SCAFE is
published at 48 kHz alone and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kws.data.corpora.base import AbsentError, Corpus
from kws.data.download import Archive
from kws.data.prepare.clip import Clip, Listing
from kws.data.prepare.splits import hash_split

# MD5 as published by Zenodo.
_MD5 = {
    "DKITCHEN": "7ffbf52d7f4699f96927846103dc8788",
    "DLIVING": "46741384d9e434a0bd8b3ec1830b6052",
    "DWASHING": "7e5ee9437ce9409c5f9a779b6212a240",
    "NFIELD": "a740046c6f4e174e16f5d568aaec5024",
    "NPARK": "80f1385a34d7f1705758926b57f138ce",
    "NRIVER": "54264db61d3fe073fb81f2e40e0d19b5",
    "OHALLWAY": "fe918bbb0e63e73d09ba7f4843ef33f1",
    "OMEETING": "62f7cfe7fe6d30b7d8a215fe37c2dfd2",
    "OOFFICE": "7b61cc2d182d5a654cb9c3101ddd4041",
    "PCAFETER": "99927d148128254141a9417d051510bb",
    "PRESTO": "b98d2e6854eeebb397f29a8ad7457092",
    "PSTATION": "d7448009f6c2aeb6ba570375df1750a3",
    "SPSQUARE": "205d0e7b8fe74504a2f8d252fc414b9e",
    "STRAFFIC": "2efa87262f272bbf9ba578088e81939c",
    "TBUS": "706b11b0d8504f9f3b3f3211e91b3863",
    "TCAR": "4d930012796bd298932245a26189f973",
    "TMETRO": "95daf4df678e13b120e14211e6d89571",
}
ARCHIVES = {
    name: Archive(f"https://zenodo.org/records/1227121/files/{name}_16k.zip", f"md5:{md5}")
    for name, md5 in _MD5.items()
}


def _clips(source: Path, parts: Sequence[str]) -> Listing:
    """The environments named; where all are meant, those that are there."""
    here = [name for name in parts if (source / name).is_dir()]
    if missing := [name for name in parts if name not in here and (not here or len(parts) < len(ARCHIVES))]:
        raise AbsentError(f"{missing[0]} of DEMAND is not in {source}")
    clips = [Clip(source / name / "ch01.wav", split=hash_split(name)) for name in here]
    return clips, ["split by the hash of the environment's name"]


CORPUS = Corpus(
    name="demand",
    holds="17 environments of 5 min, one channel: 1.4 h",
    licence="CC BY-SA 3.0",
    archives=ARCHIVES,  # about 0.1 GB each
    default=tuple(ARCHIVES),
    list=_clips,
)
