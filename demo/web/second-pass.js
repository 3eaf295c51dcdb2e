// The second pass: a verifier hears the last seconds around each candidate of the first pass, and decides
// (kws/runtime/second_pass.py in JavaScript).

import * as ort from "./vendor/ort.js";
import { CandidateFinder, FRAMES_PER_LABEL } from "./scoring.js";

const LEAST = 1e-12;

/** What verifies the candidates of a detector's keywords; immutable, shared by all streams. */
export class SecondPass {
  /** scorer: from spellings and their owners to a keyword scorer. */
  constructor({ manifest, verifier }, scorer) {
    const { keywords, tokens } = manifest;
    this.info = manifest.verifier;
    this.session = verifier;
    this.tokens = tokens.length;
    this.finder = new CandidateFinder(keywords.length, this.info.floor, this.info.hold_frames);
    this.places = keywords.map(({ name }) => this.info.words.indexOf(name));
    const frames = Math.floor((this.info.segment_frames * manifest.sample_rate) / (100 * manifest.frame_samples));
    const fits = Math.max(1, Math.floor(frames / FRAMES_PER_LABEL));
    this.scorers = keywords.map(({ spellings }, index) => {
      if (this.places[index] >= 0) return null;
      // of a phrase that is longer than what the verifier hears, it scores the end
      const ends = spellings.map((spelling) => spelling.slice(-fits));
      return scorer(ends, ends.map(() => 0));
    });
  }

  /** What one stream remembers, fresh. */
  stream() {
    return new SecondPassStream(this);
  }

  /** The score of a candidate that ends with the last of the features (frames, mels). */
  async score(features, { keyword, score }) {
    const { segment_frames: frames, mels, first_pass_weight: weight } = this.info;
    const results = await this.session.run({ features: new ort.Tensor("float32", features, [1, frames, mels]) });
    const first = Math.log(Math.max(score, LEAST));
    const place = this.places[keyword];
    if (place >= 0) return 1 / (1 + Math.exp(-(results.log_odds.data[place] + weight * first)));
    const scorer = this.scorers[keyword];
    const { scores } = scorer.score(results.log_posteriors.data, this.tokens, scorer.initState());
    const second = scores.reduce((a, b) => Math.max(a, b), LEAST);
    return Math.exp(0.5 * (first + Math.log(second)));
  }
}

/** The second pass of one stream: its last features and scores. */
class SecondPassStream {
  constructor(pass) {
    const { segment_frames: frames, mels, silence } = pass.info;
    this.pass = pass;
    this.kept = new Float32Array(frames * mels).fill(silence);
    this.state = pass.finder.initState();
  }

  /** The next frames: their final scores and ages (T, K), 0 but where a candidate is decided. */
  async hear(features, scores, ages) {
    const { pass } = this;
    const size = this.kept.length;
    const all = new Float32Array(size + features.length);
    all.set(this.kept);
    all.set(features, size);
    this.kept = all.slice(features.length);
    const { found, state } = pass.finder.run(scores, ages, this.state);
    this.state = state;
    const keywords = pass.places.length;
    const perFrame = features.length / (scores.length / keywords);
    const final = { scores: new Float64Array(scores.length), ages: new Int32Array(ages.length) };
    for (const candidate of found) {
      const end = size + (candidate.row + 1) * perFrame;
      const place = candidate.row * keywords + candidate.keyword;
      final.scores[place] = await pass.score(all.slice(end - size, end), candidate);
      final.ages[place] = candidate.age;
    }
    return final;
  }
}
