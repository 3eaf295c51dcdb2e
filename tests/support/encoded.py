"""Sound files of any container and codec, as bytes, into a file or into a pipe; made by FFmpeg's libraries."""

import io
from contextlib import suppress

import av
import numpy as np


class _Pipe:
    """A place to write to that cannot be sought in."""

    def __init__(self, into):
        self.write = into.write


def encoded(samples, container, codec, rate, pipe=False, options=None):
    """The bytes of a file that holds samples (n,) or (n, channels)."""
    if container in _ANY_BITS:
        return _any_bits(container, len(samples))
    samples = np.atleast_2d(np.asarray(samples, np.float32).T)
    into, layout = io.BytesIO(), "mono" if len(samples) == 1 else "stereo"
    with av.open(_Pipe(into) if pipe else into, "w", format=container, options=options or {}) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        if codec.startswith("wma"):
            stream.bit_rate = 48_000
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        for start in range(0, samples.shape[1], 1000):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + 1000]), "fltp", layout)
            frame.sample_rate, frame.pts = rate, start
            for ready in resampler.resample(frame):
                output.mux(stream.encode(ready))
        output.mux(stream.encode(None))
    return into.getvalue()


# Codecs that every FFmpeg decodes and not every one encodes: the begin of the file, and of each frame of 20 ms, and
# how many bytes of any bits make it up. They are noise.
_ANY_BITS = {"amr": (b"#!AMR\n", b"\x3c", 31), "gsm": (b"", b"\xd0", 32)}


def _any_bits(container, count):
    begin, head, size = _ANY_BITS[container]
    rng = np.random.default_rng(count)
    return begin + b"".join(head + rng.bytes(size) for _ in range(-(-count // 160)))


def frames_by_ffmpeg(content):
    """How many frames FFmpeg decodes from the bytes of a file, going on after damage as its program does."""
    with av.open(io.BytesIO(content)) as container:
        return sum(_frames(packet) for packet in _packets(container))


def _packets(container):
    with suppress(av.FFmpegError):  # the file breaks off
        yield from container.demux(container.streams.audio[0])


def _frames(packet):
    try:
        return sum(frame.samples for frame in packet.decode())
    except av.FFmpegError:
        return 0


def samples_by_ffmpeg(content):
    """Samples (n, channels) as FFmpeg converts them to float32."""
    parts = []
    with av.open(io.BytesIO(content)) as container:
        to_float = av.AudioResampler(format="flt")
        for frame in container.decode(audio=0):
            parts += [ready.to_ndarray().reshape(-1, ready.layout.nb_channels) for ready in to_float.resample(frame)]
    return np.concatenate(parts)
