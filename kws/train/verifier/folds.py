"""Folds over speakers: a recording is heard by a model that never met its speaker."""

import hashlib


def in_fold(speaker: str, fold: int, folds: int) -> bool:
    """Whether a speaker belongs to fold number `fold` of `folds`, by a hash of the name
    alone; fold -1 has nobody.
    """
    return fold >= 0 and int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % folds == fold
