// The gate: while it is quiet the model sleeps, and the first sound wakes it: kws/runtime/gate.py in JavaScript.
// It is explained there; tests/demo/test_web_numbers.py holds both to the same chunks.

import { RATE } from "./resample.js";

const KEPT_S = 0.48; // of the sound before the first loud slice that the model hears after all
const SLICE = 320; // samples
const UNIT = 256; // of a decibel
const LOUD = 3 * UNIT; // above the floor
const RISE = 15; // in 20 ms: 3 dB in a second
const LEAST = -105 * UNIT;
const NEVER = 1000 * UNIT;
const TAPS = 4; // samples that a band looks at

/** The number of quiet chunks after which earlier sound can no longer change an event. gap: the longest inside a path. */
export function quietChunks({ scoring, verifier, frames_per_chunk: perChunk }, gap) {
  const frames = gap + (verifier?.hold_frames ?? 0) + scoring.refractory_frames;
  return Math.ceil(frames / perChunk);
}

/** The gate of one stream: which chunks its model hears. */
export class Gate {
  constructor(chunkSamples, quiet) {
    this.slice = chunkSamples % SLICE === 0 ? SLICE : chunkSamples;
    this.quietChunks = quiet;
    this.mostKept = Math.ceil(Math.floor(KEPT_S * RATE) / chunkSamples);
    this.samples = new Float64Array(TAPS - 1);
    this.bands = [0, 1].map(() => ({ floor: NEVER, powers: [0, 0] }));
    this.quiet = 0;
    this.kept = [];
    this.isLost = false; // something that came before what is kept
  }

  /**
   * Decides on a chunk (Float32Array): {heard, before, anew}. heard: whether the model hears it. before: kept chunks that
   * came while the model slept, and that it hears first. anew: chunks before these are lost, so that the model begins as
   * after silence.
   */
  take(chunk) {
    const asleep = this.quiet >= this.quietChunks;
    const loud = this.#isLoud(chunk);
    this.quiet = loud ? 0 : this.quiet + 1;
    if (asleep && !loud) {
      this.isLost ||= this.kept.length === this.mostKept;
      this.kept = [...this.kept, chunk].slice(-this.mostKept);
      return { heard: false, before: [], anew: this.isLost };
    }
    const { kept: before, isLost: anew } = this;
    this.kept = [];
    this.isLost = false;
    return { heard: true, before, anew };
  }

  #isLoud(chunk) {
    const x = new Float64Array(TAPS - 1 + chunk.length);
    x.set(this.samples);
    x.set(chunk, TAPS - 1);
    this.samples = x.slice(-(TAPS - 1));
    let loud = false;
    for (let at = 0; at < chunk.length; at += this.slice) {
      const sums = [0, 0];
      for (let n = at + 3; n < at + 3 + this.slice; n++) {
        const [third, second, first] = [x[n] - x[n - 1], x[n - 1] - x[n - 2], x[n - 2] - x[n - 3]];
        sums[0] += (third + 2 * second + first) ** 2;
        sums[1] += (third - second) ** 2;
      }
      sums.forEach((sum, band) => (loud = this.#exceeds(this.bands[band], sum / this.slice) || loud));
    }
    return loud;
  }

  /** Whether a slice of this power is loud in a band, whose floor follows it. */
  #exceeds(band, power) {
    const [first, second] = band.powers;
    band.powers = [second, power];
    const level = Math.max(LEAST, Math.round(10 * UNIT * Math.log10((first + second + power) / 3 + 1e-12)));
    const floor = band.floor + RISE;
    band.floor = Math.min(level, floor);
    return level > floor + LOUD;
  }
}
