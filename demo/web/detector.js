// A model with its keywords, and the state of one stream of sound: kws/runtime in JavaScript. The only file that
// knows onnxruntime-web.

import * as ort from "./vendor/ort.js";
import { Gate, quietChunks } from "./gate.js";
import { readModelInfo, withKeyword } from "./modelinfo.js";
import { RATE, Resampler } from "./resample.js";
import { EventPeaks, KeywordScorer, Trigger, longestPath, longestPause } from "./scoring.js";
import { SecondPass } from "./second-pass.js";

ort.env.wasm.numThreads = 1; // a chunk is too small to share, and one thread needs no special headers of the server
ort.env.wasm.wasmPaths = { wasm: new URL("./vendor/ort.wasm", import.meta.url).href };

const FLUSH_SAMPLES = RATE / 2; // a model's posteriors come some frames after the sound
const QUIET_SAMPLES = 4 * RATE;
const SURELY_NOT = -30; // a log-posterior

/** A model file, opened for running; shared by all streams. */
export class Detector {
  /** bytes: Uint8Array of an .onnx file. Rejects with an Error of one sentence for what is not a model of kws. */
  static async load(bytes) {
    const { info, verifier } = readModelInfo(bytes);
    const open = (graph) => ort.InferenceSession.create(graph, { executionProviders: ["wasm"], logSeverityLevel: 4 });
    const detector = new Detector(info, await open(bytes), verifier && (await open(verifier)));
    await detector.#hearSilence();
    return detector;
  }

  /** verifier: the session of the second pass, null for a model of one pass. */
  constructor(info, session, verifier, quiet = null) {
    this.info = info;
    this.session = session;
    this.verifier = verifier;
    this.quiet = quiet; // the states of a fresh stream
    const { scoring, tokens, keywords } = info;
    const spellings = keywords.flatMap((keyword) => keyword.spellings);
    const owner = keywords.flatMap((keyword, index) => keyword.spellings.map(() => index));
    const pause = longestPause(scoring.max_gap_frames);
    const scorer = (spelled, owners, borders = spelled.map(() => [])) =>
      new KeywordScorer(
        spelled.map((spelling) => spelling.map((token) => tokens.indexOf(token))),
        owners,
        {
          peakWeight: scoring.peak_weight,
          maxDurations: spelled.map(
            ({ length }, index) =>
              longestPath(length, scoring.max_duration_frames) +
              borders[index].length * (pause - scoring.max_gap_frames),
          ),
          maxGapFrames: scoring.max_gap_frames,
          borders,
          maxPauseFrames: pause,
        },
      );
    const borders = keywords.flatMap((keyword) => keyword.spellings.map((_, index) => keyword.borders?.[index] ?? []));
    this.scorer = scorer(spellings, owner, borders);
    this.secondPass = verifier && new SecondPass(this, scorer);
  }

  /** A detector that hears a further phrase too; see modelinfo.js. */
  withKeyword(phrase, phones) {
    return new Detector(withKeyword(this.info, phrase, phones), this.session, this.verifier, this.quiet);
  }

  /**
   * A fresh stream of samples at `rate` Hz. thresholds: one for each keyword, looked at in every chunk. gated: whether the
   * model sleeps while it is quiet.
   */
  stream(rate = RATE, thresholds = this.info.keywords.map((keyword) => keyword.threshold), gated = false) {
    const { info } = this;
    return new Stream(this, rate, thresholds, gated ? new Gate(info.chunk_samples, quietChunks(info, this.scorer.longestGap)) : null);
  }

  /** Finds the states that a few seconds of silence leave, in which streams begin: as in kws/runtime/session.py. */
  async #hearSilence() {
    const size = this.info.chunk_samples;
    let states = this.#zeroStates();
    for (let heard = 0; heard < QUIET_SAMPLES; heard += size) {
      [, states] = await this.run(new Float32Array(size), states);
    }
    this.quiet = states;
  }

  /** The states in which the utterances of a training begin. */
  #zeroStates() {
    return this.info.states.map(({ shape, dtype }) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return new ort.Tensor(dtype, dtype === "int64" ? new BigInt64Array(size) : new Float32Array(size), [1, ...shape]);
    });
  }

  /** One chunk of samples to its log-posteriors (frames x tokens, flat), the next states and, of two passes, features. */
  async run(chunk, states) {
    const feeds = { pcm: new ort.Tensor("float32", chunk, [1, chunk.length]) };
    this.info.states.forEach(({ name }, index) => (feeds[name] = states[index]));
    const results = await this.session.run(feeds);
    const following = this.info.states.map(({ name }) => results[`next.${name}`]);
    return [results.log_posteriors.data, following, results.features?.data];
  }
}

/** The state of one microphone. Its time is the count of samples, and how they are cut changes nothing. */
export class Stream {
  constructor(detector, rate, thresholds, gate) {
    this.detector = detector;
    this.gate = gate;
    this.resampler = new Resampler(rate);
    this.chunk = new Float32Array(detector.info.chunk_samples);
    this.fill = 0;
    this.frame = 0;
    this.#beginAnew();
    this.trigger = new Trigger(thresholds, detector.info.scoring.refractory_frames);
    this.watched = this.trigger.initState();
    this.openEvents = new EventPeaks(detector.info.scoring.refractory_frames);
  }

  /** Forgets the sound so far: the model hears on as after silence. Time and the events whose peak is open stay. */
  #beginAnew() {
    this.isNew = true;
    this.states = this.detector.quiet;
    this.heard = this.detector.scorer.initState();
    this.secondPass = this.detector.secondPass?.stream();
  }

  /** Hears the next samples (Float32Array in [-1, 1]); a result for each chunk that they complete, as `#run` says. */
  async push(samples) {
    return this.#hear(this.resampler.push(samples));
  }

  /** Ends the stream: half a second of silence, so that a keyword at the very end is heard. */
  async flush() {
    const rest = this.resampler.push(new Float32Array(0), true);
    const size = this.chunk.length;
    const used = this.fill + rest.length + FLUSH_SAMPLES;
    const silence = new Float32Array(rest.length + FLUSH_SAMPLES + ((size - (used % size)) % size));
    silence.set(rest);
    const results = await this.#hear(silence);
    results.at(-1).peaks.push(...this.openEvents.end());
    return results;
  }

  async #hear(pcm) {
    const results = [];
    while (this.fill + pcm.length >= this.chunk.length) {
      const missing = this.chunk.length - this.fill;
      this.chunk.set(pcm.subarray(0, missing), this.fill);
      pcm = pcm.subarray(missing);
      this.fill = 0;
      results.push(await this.#chunk(this.chunk.slice()));
    }
    this.chunk.set(pcm, this.fill);
    this.fill += pcm.length;
    return results;
  }

  /** One chunk of sound, which the model hears unless it sleeps; the result is as `#run` says. */
  async #chunk(sound) {
    const { heard, before, anew } = this.gate?.take(sound) ?? { heard: true, before: [], anew: false };
    if (anew && !this.isNew) this.#beginAnew();
    if (!heard) return this.#passOver(sound);
    const early = []; // what was passed over is told of in the chunk that wakes the model
    this.frame -= before.length * this.detector.info.frames_per_chunk;
    for (const chunk of before) early.push(await this.#run(chunk));
    const result = await this.#run(sound);
    const all = (what) => [...early, result].flatMap((one) => one[what]);
    return { ...result, events: all("events"), peaks: all("peaks") };
  }

  /** The frames of a chunk in which the model sleeps: no score, and surely blank. */
  #passOver(sound) {
    const { tokens, frames_per_chunk: frames } = this.detector.info;
    const { keywords } = this.detector.scorer;
    const first = this.frame;
    this.frame += frames;
    const posteriors = new Float32Array(frames * tokens.length);
    posteriors.forEach((_, place) => (posteriors[place] = place % tokens.length ? SURELY_NOT : 0));
    const [scores, ages] = [new Float64Array(frames * keywords), new Float64Array(frames * keywords)];
    const peaks = this.openEvents.hear([], [], scores, first, keywords);
    return { sound, posteriors, scores, ages, first, events: [], peaks };
  }

  /**
   * One chunk. Gives its sound (16 kHz), posteriors (frames, tokens), scores and ages (frames, keywords), the number of
   * its first frame, events {keyword, score, start_s, end_s} with the meaning of kws.events.Detection, and as peaks
   * earlier events whose `peak` is known now.
   */
  async #run(sound) {
    const { detector, frame: first } = this;
    const { info, scorer } = detector;
    this.isNew = false;
    let posteriors, features;
    [posteriors, this.states, features] = await detector.run(sound, this.states);
    let { scores, ages, state } = scorer.score(posteriors, info.tokens.length, this.heard);
    this.heard = state;
    if (this.secondPass) ({ scores, ages } = await this.secondPass.hear(features, posteriors, scores, ages));
    const seconds = (frame) => (frame * info.frame_samples) / RATE;
    const fired = this.trigger.run(scores, ages, first, this.watched);
    const events = fired.map(({ row, keyword }) => {
      const place = row * scorer.keywords + keyword;
      const end = first + row + 1;
      const name = info.keywords[keyword].name;
      return { keyword: name, score: scores[place], start_s: seconds(end - ages[place]), end_s: seconds(end) };
    });
    this.frame += info.frames_per_chunk;
    const peaks = this.openEvents.hear(events, fired, scores, first, scorer.keywords);
    return { sound, posteriors, scores, ages, first, events, peaks };
  }
}
