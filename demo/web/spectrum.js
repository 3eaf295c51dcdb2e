// The values of a spectrogram: a column every 10 ms, rows of equal width on the mel scale, loudness from 0 to 255.

import { RATE } from "./resample.js";

const SIZE = 512; // samples, of which the window takes 400 (25 ms)
const WINDOW = 400;
const HOP = 160;
const LOW = 80; // Hz
const HIGH = 7600;
const FLOOR_DB = -80; // of a full-scale sine: what is drawn as nothing
const CEILING_DB = -20;

export const ROWS = 64;
export const COLUMNS_PER_SECOND = RATE / HOP;

/** A stream's spectrogram; block sizes change nothing. */
export class Spectrum {
  constructor() {
    this.held = new Float32Array(WINDOW - HOP);
    this.window = Float64Array.from(
      { length: WINDOW },
      (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / WINDOW),
    );
    this.edges = edges();
    this.real = new Float64Array(SIZE);
    this.imaginary = new Float64Array(SIZE);
  }

  /** The columns (Uint8Array of ROWS, low frequencies first) that the samples at 16 kHz complete. */
  push(samples) {
    const sound = new Float32Array(this.held.length + samples.length);
    sound.set(this.held);
    sound.set(samples, this.held.length);
    const columns = [];
    let place = 0;
    for (; place + WINDOW <= sound.length; place += HOP)
      columns.push(this.#column(sound.subarray(place, place + WINDOW)));
    this.held = sound.slice(place);
    return columns;
  }

  #column(sound) {
    const { real, imaginary, edges } = this;
    real.fill(0);
    imaginary.fill(0);
    for (let i = 0; i < WINDOW; i++) real[i] = sound[i] * this.window[i];
    transform(real, imaginary);
    return Uint8Array.from({ length: ROWS }, (_, row) => {
      let power = 0;
      for (let bin = edges[row]; bin < Math.max(edges[row + 1], edges[row] + 1); bin++) {
        power = Math.max(power, real[bin] ** 2 + imaginary[bin] ** 2);
      }
      const db = 10 * Math.log10(power / (WINDOW / 4) ** 2 + 1e-12);
      return 255 * Math.min(1, Math.max(0, (db - FLOOR_DB) / (CEILING_DB - FLOOR_DB))) ** 1.5;
    });
  }
}

/** The first bins of the rows. */
function edges() {
  const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700);
  const hertz = (mels) => 700 * (10 ** (mels / 2595) - 1);
  const width = (mel(HIGH) - mel(LOW)) / ROWS;
  return Array.from({ length: ROWS + 1 }, (_, row) => Math.round((hertz(mel(LOW) + row * width) * SIZE) / RATE));
}

/** The discrete Fourier transform in place: radix 2, decimation in time. */
function transform(real, imaginary) {
  const size = real.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let length = 2; length <= size; length *= 2) {
    for (let k = 0; k < length / 2; k++) {
      const [c, s] = [Math.cos((2 * Math.PI * k) / length), -Math.sin((2 * Math.PI * k) / length)];
      for (let i = k; i < size; i += length) {
        const j = i + length / 2;
        const [re, im] = [real[j] * c - imaginary[j] * s, real[j] * s + imaginary[j] * c];
        [real[j], imaginary[j]] = [real[i] - re, imaginary[i] - im];
        real[i] += re;
        imaginary[i] += im;
      }
    }
  }
}
