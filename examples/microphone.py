"""Hear keywords from a microphone: `python examples/microphone.py`; Ctrl-C ends it. It
needs `kws[listen]`.
"""

import sys
import threading

import kws
from kws.demo.live import LiveDetection, listen
from kws.demo.microphone import Microphone


def on_event(event: LiveDetection) -> None:
    """Handles an event. Two seconds of sound wait for it: hand longer work to a
    thread.
    """
    print(f"{event.time:%H:%M:%S} {event.keyword}, score {event.score:.2f}", flush=True)


def main(stop: threading.Event | None = None) -> int:
    """Listens until `stop` is set; 1 where there is no microphone."""
    try:
        microphone = Microphone(tell=lambda line: print(line, file=sys.stderr))
        print(f"listening to {microphone}", file=sys.stderr)
        listen(kws.Detector.load("wake-words"), on_event, microphone=microphone, stop=stop)
    except kws.KwsError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
