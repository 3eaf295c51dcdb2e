"""Many microphones in one process: chunks that wait at the same moment go through the
model together.

`python examples/many_streams.py` plays the demo's recording into three streams that
begin a second apart, as if each came from another room.
"""

from pathlib import Path

import kws
from kws import audio

BLOCK_SAMPLES = 1_600  # 0.1 s, as a network would bring it
LATER_BLOCKS = 10  # by which each room begins after the one before


def hear_rooms(file: Path, rooms: list[str], detector: kws.Detector) -> list[tuple[str, kws.Detection]]:
    """The events of every room; the times are those of the room's own stream."""
    streams = detector.streams()
    handles = {streams.join(): room for room in rooms}
    blocks = list(audio.blocks(file, BLOCK_SAMPLES))
    heard = []
    for tick in range(len(blocks) + LATER_BLOCKS * len(rooms)):
        for number, handle in enumerate(handles):
            place = tick - number * LATER_BLOCKS
            if 0 <= place < len(blocks):
                handle.push(blocks[place])
        heard += [(handles[handle], event) for handle, event in streams.run()]
    for handle in handles:
        handle.flush()
    return heard + [(handles[handle], event) for handle, event in streams.run()]


if __name__ == "__main__":
    for room, event in hear_rooms(Path("demo/hear.wav"), ["kitchen", "hall", "study"], kws.Detector.load()):
        print(f"{room:8} {event.keyword:14} {event.end_s:6.2f} s")
