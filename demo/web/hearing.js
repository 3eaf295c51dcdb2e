// One hearing: a microphone or a file through a stream, until it is over, stopped or lost.

import { openMicrophone } from "./capture.js";
import { RATE } from "./resample.js";

const SILENT_S = 2; // without one bit of sound: then the microphone is muted
const ONE_BIT = 2 ** -15;
const TELL_MS = 3000; // between two words on how far a file is: they are read aloud

/** After `stop` it shows and says nothing any more. */
export class Hearing {
  /**
   * thresholds: looked at in every chunk. show(results): shows the results of a stream (see Stream in detector.js).
   * level(samples): shows the level of the input. say(sentence): tells the progress.
   */
  constructor(detector, thresholds, { show, level, say }) {
    Object.assign(this, { detector, thresholds, show, level, say });
    this.stopped = false;
    this.reader = null;
  }

  stop() {
    this.stopped = true;
    this.reader?.cancel().catch(() => {}); // it has failed already where the microphone was lost
  }

  /** Hears the microphone until `stop`. Rejects with an Error of one sentence when it is refused, and when it is lost. */
  async microphone() {
    this.say("Waiting for the microphone …");
    const { rate, name, blocks } = await openMicrophone();
    this.reader = blocks.getReader();
    if (this.stopped) return this.reader.cancel();
    const stream = this.detector.stream(rate, this.thresholds, true); // it sleeps while it is quiet
    let silent = 0;
    for (let block; (block = (await this.reader.read()).value); ) {
      silent = block.some((sample) => Math.abs(sample) >= ONE_BIT) ? 0 : silent + block.length;
      if (silent === 0) this.say(`Listening through ${name} at ${rate / 1000} kHz.`);
      else if (silent >= SILENT_S * rate) this.say("The microphone gives nothing but silence. Is it muted?");
      this.level(block);
      this.#show(await stream.push(block));
    }
  }

  /** Hears a whole sound (Float32Array at 16 kHz) as fast as this machine can; resolves to the seconds that it took. */
  async sound(samples, name) {
    const stream = this.detector.stream(RATE, this.thresholds);
    const began = performance.now();
    for (let at = 0, told = began; at < samples.length && !this.stopped; at += RATE) {
      this.#show(await stream.push(samples.subarray(at, at + RATE)));
      if (performance.now() - told > TELL_MS) {
        told = performance.now();
        this.say(`Hearing ${name}: ${at / RATE} of ${Math.round(samples.length / RATE)} s`);
      }
      await new Promise((resume) => setTimeout(resume)); // the page stays alive
    }
    this.#show(await stream.flush());
    return (performance.now() - began) / 1000;
  }

  #show(results) {
    if (!this.stopped) this.show(results); // it may have been stopped while the stream was at work
  }
}
