// A stream's change of rate to 16 kHz, as a windowed sinc for each phase (Kaiser window, 100 dB).
//
// Why not the browser's own: it resamples a microphone to the AudioContext's rate in Chromium and Safari, while Firefox
// refuses to connect the two (https://bugzilla.mozilla.org/show_bug.cgi?id=1674892). One way for all is one to test.

export const RATE = 16000; // of all models
const CROSSINGS = 64; // of zero, on each side of the sinc
const CUTOFF = 0.95; // of the lower of both Nyquist frequencies: 8 kHz and more are gone, 7.2 kHz are whole
const BETA = 10; // of the Kaiser window

/** Block sizes do not change what comes out; output n stands for the time of input n * rate / RATE. */
export class Resampler {
  constructor(rate) {
    const common = gcd(rate, RATE);
    this.phases = RATE / common;
    this.step = rate / common;
    this.half = Math.ceil(CROSSINGS / (CUTOFF * Math.min(1, RATE / rate)));
    this.kernels = kernels(this.phases, this.half, CUTOFF * Math.min(1, RATE / rate));
    this.held = new Float32Array(this.half - 1); // the first of them stands half - 1 before the output's centre
    this.phase = 0;
  }

  /** The samples (Float32Array at 16 kHz) that can be given out by now; after `last` no more may come. */
  push(samples, last = false) {
    if (this.phases === 1 && this.step === 1) return samples;
    const sound = new Float32Array(this.held.length + samples.length + (last ? this.half : 0));
    sound.set(this.held);
    sound.set(samples, this.held.length);
    const taps = 2 * this.half;
    const out = [];
    let place = 0;
    while (place + taps <= sound.length) {
      const kernel = this.kernels[this.phase];
      let sum = 0;
      for (let k = 0; k < taps; k++) sum += kernel[k] * sound[place + k];
      out.push(sum);
      this.phase += this.step;
      place += Math.floor(this.phase / this.phases);
      this.phase %= this.phases;
    }
    this.held = sound.slice(place);
    return Float32Array.from(out);
  }
}

/** For each phase the weights (2 half) of the inputs around an output that lies phase / phases after an input. */
function kernels(phases, half, cutoff) {
  return Array.from({ length: phases }, (_, phase) => {
    const weights = Float64Array.from({ length: 2 * half }, (_, k) => {
      const time = k - (half - 1) - phase / phases;
      return cutoff * sinc(cutoff * time) * kaiser(time / half);
    });
    const sum = weights.reduce((a, b) => a + b);
    return Float32Array.from(weights, (weight) => weight / sum);
  });
}

const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
const kaiser = (x) => (Math.abs(x) > 1 ? 0 : bessel(BETA * Math.sqrt(1 - x * x)) / bessel(BETA));
const gcd = (a, b) => (b ? gcd(b, a % b) : a);

/** The modified Bessel function of the first kind and order 0. */
function bessel(x) {
  let sum = 1;
  for (let k = 1, term = 1; term > 1e-12 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
  return sum;
}
