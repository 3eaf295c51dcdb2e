// The second pass: a verifier hears the last seconds around each candidate of the first pass, and decides
// (kws/runtime/second_pass.py in JavaScript).

import * as ort from "./vendor/ort.js";
import { CandidateFinder, FRAMES_PER_LABEL, longestPause } from "./scoring.js";

const LEAST = 1e-12;
const PAUSE = 10; // blank frames
const KEPT = 2; // of a pause at either end

/** Verifies the candidates of a detector's keywords; immutable, shared by all streams. */
export class SecondPass {
  /** scorer: from spellings and their owners to a keyword scorer. */
  constructor({ info, verifier }, scorer) {
    const { keywords, tokens } = info;
    this.verifierInfo = info.verifier;
    this.session = verifier;
    this.tokens = tokens.length;
    this.finder = new CandidateFinder(keywords.length, this.verifierInfo.floor, this.verifierInfo.hold_frames);
    this.places = keywords.map(({ name }) => this.verifierInfo.words.indexOf(name));
    this.perFrame = Math.floor((100 * info.frame_samples) / info.sample_rate); // features
    const frames = Math.floor(this.verifierInfo.segment_frames / this.perFrame);
    this.hasPauses = keywords.map(({ borders }) => borders?.some((ends) => ends.length) ?? false);
    this.mostCut = this.hasPauses.some(Boolean) ? longestPause(info.scoring.max_gap_frames) : 0;
    const fits = Math.max(1, Math.floor(frames / FRAMES_PER_LABEL));
    this.scorers = keywords.map(({ spellings }, index) => {
      if (this.places[index] >= 0) return null;
      // a phrase that is longer than the verifier's segment is scored by its end
      const ends = spellings.map((spelling) => spelling.slice(-fits));
      return scorer(ends, ends.map(() => 0));
    });
  }

  /** The second pass of a fresh stream. */
  stream() {
    return new SecondPassStream(this);
  }

  /** The score of a candidate that ends with the last of the features (frames, mels). */
  async score(features, { keyword, score }) {
    const { segment_frames: frames, mels, first_pass_weight: weight } = this.verifierInfo;
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
    const { segment_frames: frames, mels, silence } = pass.verifierInfo;
    this.pass = pass;
    this.values = pass.perFrame * mels; // of a frame
    this.kept = frames / pass.perFrame + pass.mostCut;
    this.features = new Float32Array(this.kept * this.values).fill(silence);
    this.blank = Array(this.kept).fill(true);
    this.state = pass.finder.initState();
  }

  /** The next frames: their final scores and ages (T, K), 0 but where a candidate is decided. */
  async hear(features, posteriors, scores, ages) {
    const { pass, kept, values } = this;
    const all = new Float32Array(this.features.length + features.length);
    all.set(this.features);
    all.set(features, this.features.length);
    const blank = [...this.blank];
    for (let at = 0; at < posteriors.length; at += pass.tokens) {
      const row = posteriors.subarray(at, at + pass.tokens);
      blank.push(row.every((value) => value <= row[0]));
    }
    this.features = all.slice(features.length);
    this.blank = blank.slice(-kept);
    const { found, state } = pass.finder.run(scores, ages, this.state);
    this.state = state;
    const keywords = pass.places.length;
    const final = { scores: new Float64Array(scores.length), ages: new Int32Array(ages.length) };
    for (const candidate of found) {
      const first = candidate.row + 1;
      const heard = this.#heard(blank.slice(first, first + kept), candidate);
      const segment = new Float32Array(heard.length * values);
      heard.forEach((frame, place) => {
        const at = (first + frame) * values;
        segment.set(all.subarray(at, at + values), place * values);
      });
      const place = candidate.row * keywords + candidate.keyword;
      final.scores[place] = await pass.score(segment, candidate);
      final.ages[place] = candidate.age;
    }
    return final;
  }

  /** Which of the frames that are kept the verifier hears: the last ones, without the middle of a pause. */
  #heard(blank, { keyword, age }) {
    const { mostCut, hasPauses, verifierInfo } = this.pass;
    const frames = [...blank.keys()];
    const size = this.kept - mostCut;
    if (!hasPauses[keyword]) return frames.slice(-size);
    const first = Math.max(0, this.kept - age);
    const cut = pauses(blank.slice(first, this.kept - verifierInfo.hold_frames)).map((frame) => first + frame);
    const left = new Set(cut.slice(-mostCut));
    return frames.filter((frame) => !left.has(frame)).slice(-size);
  }
}

/** The frames to be left out of those of a path: of each run of blanks all but its begin and its end. */
function pauses(blank) {
  const found = [];
  for (let begin = 0, at = 0; at <= blank.length; at++) {
    if (blank[at]) continue;
    if (at - begin >= PAUSE) for (let frame = begin + KEPT; frame < at - KEPT; frame++) found.push(frame);
    begin = at + 1;
  }
  return found;
}
