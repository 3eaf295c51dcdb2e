"""Settings of training mixtures, as plain values that can be read without torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SceneConfig:
    """Settings of training mixtures: rows x row_seconds of audio are a batch.

    Probabilities are per row; ranges are uniform. A probability of 0 draws nothing, so
    that a setting that is off changes no other number.

    most_clips: of a row. gap_seconds: of silence between clips. speed: factor by which
    a clip is played faster. clip_gain_db, row_gain_db: added to the level of a clip, of
    a row. empty_probability: of a row without speech. snr_db: of noise and of babble.
    floor_probability: of a microphone's own noise. room_probability: of a room, of
    which recorded_rooms is the share of recorded ones (the others are simulated) where
    impulse responses are given. stretch_probability: per clip, to change tempo and
    pitch (semitones) each by its own instead of its speed. shift_seconds: most that a
    clip is moved within its own length. overdrive_db: most gain of an overdriven row.
    """

    rows: int = 8
    row_seconds: float = 20.0
    gap_seconds: tuple[float, float] = (0.02, 0.8)
    speed: tuple[float, float] = (0.86, 1.16)
    clip_gain_db: tuple[float, float] = (-6.0, 6.0)
    row_gain_db: tuple[float, float] = (-20.0, 8.0)
    noise_probability: float = 0.5
    babble_probability: float = 0.15
    snr_db: tuple[float, float] = (2.0, 30.0)
    floor_probability: float = 0.7
    room_probability: float = 0.3
    microphone_probability: float = 0.3
    most_clips: int = 1000
    empty_probability: float = 0.0
    stretch_probability: float = 0.0
    tempo: tuple[float, float] = (0.88, 1.14)
    semitones: tuple[float, float] = (-2.0, 2.0)
    shift_seconds: float = 0.0
    recorded_rooms: float = 0.5
    overdrive_probability: float = 0.0
    overdrive_db: float = 15.0
    telephone_probability: float = 0.0
    codec_probability: float = 0.0

    @property
    def longest_s(self) -> float:
        """The length in seconds below which a clip fits into a row at any speed."""
        return self.row_seconds * self.slowest

    @property
    def slowest(self) -> float:
        """The least speed of a clip, by which its length is divided."""
        return min(self.speed[0], self.tempo[0]) if self.stretch_probability else self.speed[0]
