// The signal of an event: the headline flashes, and a beep sounds if the person asked for it.

const FLASH_MS = 700;
const BEEP_S = 0.12;
const BEEP_HZ = 880;

export class Signal {
  /** flashing: the element that flashes. wanted: the checkbox for the beep, off at first. */
  constructor(flashing, wanted) {
    this.flashing = flashing;
    this.wanted = wanted;
    this.context = null;
    this.timer = 0;
    wanted.onchange = () => wanted.checked && this.beep(); // also what lets the browser play later
  }

  /** An event, in its keyword's colour; live: somebody is speaking now, not a file is read. */
  fire(colour, live) {
    clearTimeout(this.timer);
    this.flashing.style.setProperty("--own", colour);
    this.flashing.classList.add("fired");
    this.timer = setTimeout(() => this.flashing.classList.remove("fired"), FLASH_MS);
    if (live && this.wanted.checked) this.beep();
  }

  beep() {
    this.context ??= new AudioContext();
    const start = this.context.currentTime;
    const tone = new OscillatorNode(this.context, { frequency: BEEP_HZ });
    const volume = new GainNode(this.context, { gain: 0.2 });
    volume.gain.setTargetAtTime(0, start + BEEP_S, 0.02); // no click at its end
    tone.connect(volume).connect(this.context.destination);
    tone.start(start);
    tone.stop(start + 2 * BEEP_S);
  }
}
