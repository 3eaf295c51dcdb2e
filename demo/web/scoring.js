// From log-posteriors to a score per keyword, and from scores to events: kws/decoding/ once more.
// What they mean is told there; tests/demo/test_web_numbers.py holds both languages to the same numbers and the same events.
//
// T frames, V tokens, K keywords, P spellings, S states of all chains (2 U - 1 for a spelling of U labels), and two
// that never change: "a path may begin" and "no path". Matrices are flat arrays, row by row.

export const FRAMES_PER_LABEL = 5; // of a long spelling's path: slow speech takes 200 ms a phone
const LONG_FRAMES = 60;
const PAUSE_FRAMES = 30; // between two words: 1.2 s

/** The longest run of blanks between two words, where a model allows `usual` frames elsewhere. */
export const longestPause = (usual) => Math.max(PAUSE_FRAMES, usual);

/** How many frames the path of a spelling of so many labels may cover, where a model allows `usual` frames. */
export function longestPath(labels, usual) {
  const needed = FRAMES_PER_LABEL * labels;
  return needed <= usual ? usual : Math.max(needed, LONG_FRAMES);
}

/** Scores keywords in a stream of log-posteriors; immutable, so that any number of streams may share one. */
export class KeywordScorer {
  /**
   * spellings: token ids of each spelling; owner: for each spelling the index of its keyword.
   * blank: id of the CTC blank; peakWeight, maxGapFrames: as in the model's manifest; maxDurations: frames that a path
   * of each spelling may cover; borders: of each spelling after how many labels a word ends, where a run of blanks may
   * last maxPauseFrames.
   */
  constructor(spellings, owner, { blank = 0, peakWeight, maxDurations, maxGapFrames, borders = [], maxPauseFrames = 0 }) {
    const chains = spellings.map((labels) => labels.flatMap((label) => [blank, label]).slice(1));
    this.tokens = Int32Array.from(chains.flat());
    this.states = this.tokens.length;
    this.owner = owner;
    this.keywords = 1 + Math.max(-1, ...owner);
    this.lengths = spellings.map((labels) => labels.length);
    this.blank = blank;
    this.peakWeight = peakWeight;
    this.firsts = new Uint8Array(this.states);
    this.ends = [];
    for (const chain of chains) {
      const begin = (this.ends.at(-1) ?? -1) + 1;
      this.firsts[begin] = 1;
      this.ends.push(begin + chain.length - 1);
    }
    this.maxGaps = new Float64Array(this.states).fill(maxGapFrames);
    borders.forEach((ends, spelling) => {
      const first = this.ends[spelling] - 2 * (this.lengths[spelling] - 1);
      for (const end of ends) this.maxGaps[first + 2 * end - 1] = Math.max(maxGapFrames, maxPauseFrames);
    });
    this.longestGap = Math.max(maxGapFrames, ...this.maxGaps);
    // A path that has stayed too long in its first label begins anew, lest a hiss use up its duration.
    const ages = chains.flatMap((chain, spelling) => chain.map(() => maxDurations[spelling]));
    this.maxAges = Float64Array.from(ages, (age, s) => (this.firsts[s] ? Math.min(age, maxGapFrames) : age));
    this.sources = this.#predecessors();
  }

  /** The state of a fresh stream: no path anywhere. */
  initState() {
    const { rows, begin } = this.#layout();
    const column = (value) => new Float64Array(rows).fill(value);
    const state = { llr: column(-Infinity), age: column(0), gap: column(0), done: column(0), peak: column(0) };
    state.peak.fill(-Infinity, rows / 2);
    state.llr[begin] = state.llr[begin + rows / 2] = 0;
    return state;
  }

  /**
   * Scores the frames of a chunk: posteriors (T, V), finite. Returns scores (T, K) in [0, 1], ages (T, K), the frames
   * that the path of each score covers, and the new state; the one given stays as it was.
   */
  score(posteriors, tokens, state) {
    const frames = posteriors.length / tokens;
    const scores = new Float64Array(frames * this.keywords);
    const ages = new Int32Array(frames * this.keywords);
    let old = copy(state);
    let next = copy(state);
    for (let frame = 0; frame < frames; frame++) {
      this.#advance(old, next, posteriors.subarray(frame * tokens, (frame + 1) * tokens));
      this.#keywordScores(next, scores, ages, frame * this.keywords);
      [old, next] = [next, old];
    }
    return { scores, ages, state: old };
  }

  /** One frame of the search, from `old` into `next`; ties between predecessors go to the first of them. */
  #advance(old, next, row) {
    const half = old.llr.length / 2;
    const best = row.reduce((a, b) => Math.max(a, b), -Infinity);
    for (let s = 0; s < this.states; s++) {
      let from = this.sources[3 * s];
      for (let k = 1; k < 3; k++) {
        const other = this.sources[3 * s + k];
        if (old.llr[other] > old.llr[from]) from = other;
      }
      const token = this.tokens[s];
      const isBlank = token === this.blank;
      const cost = row[token] - best;
      const peak = Math.max(old.peak[from], isBlank ? -Infinity : row[token]);
      let llr = old.llr[from] + cost;
      let age = old.age[from] + 1;
      const gap = old.gap[from] + (isBlank ? 1 : 0);
      if (age > this.maxAges[s] || gap > this.maxGaps[s]) {
        llr = this.firsts[s] ? cost : -Infinity;
        age = 1;
      }
      next.llr[s] = next.llr[half + s] = llr;
      next.age[s] = next.age[half + s] = age;
      next.gap[s] = gap;
      next.done[s] = old.done[from];
      next.peak[s] = peak;
      next.done[half + s] = old.done[from] + peak; // as the label that it enters next sees it: its own finished
    }
  }

  /** The best spelling of each keyword, the first where several are as good. */
  #keywordScores(state, scores, ages, offset) {
    const half = state.llr.length / 2;
    scores.fill(-1, offset, offset + this.keywords);
    this.ends.forEach((end, spelling) => {
      const row = half + end;
      const log = (state.done[row] * this.peakWeight + state.llr[row]) / this.lengths[spelling];
      const score = Math.exp(Math.min(log, 0));
      const place = offset + this.owner[spelling];
      if (score > scores[place]) {
        scores[place] = score;
        ages[place] = state.age[row];
      }
    });
  }

  /** Rows of a state: S states, begin and never, as they are; then the same as the label entered next sees them. */
  #layout() {
    return { rows: 2 * (this.states + 2), begin: this.states, never: this.states + 1 };
  }

  /** (S, 3): rows that may precede each state by staying, next and skipping. */
  #predecessors() {
    const { rows, begin, never } = this.#layout();
    const table = new Int32Array(3 * this.states);
    for (let s = 0; s < this.states; s++) {
      const isLabel = this.tokens[s] !== this.blank;
      const isThird = isLabel && !this.firsts[s] && !this.firsts[s - 1];
      // A blank must stand between equal labels, or CTC would merge them into one.
      const skips = isThird && this.tokens[s] !== this.tokens[s - 2];
      const entering = isLabel ? rows / 2 : 0;
      table.set([s, (this.firsts[s] ? begin : s - 1) + entering, (skips ? s - 2 : never) + entering], 3 * s);
    }
    return table;
  }
}

/** Turns scores into events: a threshold per keyword, one event per utterance; immutable. */
export class Trigger {
  constructor(thresholds, refractoryFrames) {
    this.thresholds = thresholds;
    this.refractory = refractoryFrames;
  }

  /** The state of a fresh stream: nothing has fired. */
  initState() {
    const longAgo = () => new Float64Array(this.thresholds.length).fill(-Infinity);
    return { fired: longAgo(), began: longAgo() };
  }

  /** The events {row, keyword} of consecutive frames from number `frame` on, in order of time; changes `state`. */
  run(scores, ages, frame, state) {
    const keywords = this.thresholds.length;
    const events = [];
    scores.forEach((score, place) => {
      const keyword = place % keywords;
      if (!(score >= this.thresholds[keyword])) return;
      const row = (place - keyword) / keywords;
      const now = frame + row;
      const start = now + 1 - ages[place];
      // A held last sound keeps the old path alive, and is still the same utterance.
      if (now - state.fired[keyword] < this.refractory || start <= state.began[keyword]) return;
      state.fired[keyword] = now;
      state.began[keyword] = start;
      events.push({ row, keyword });
    });
    return events;
  }
}

/** The events of one stream whose peak is not known yet: kws/decoding/event_peaks.py. */
export class EventPeaks {
  constructor(refractoryFrames) {
    this.frames = Math.max(1, refractoryFrames);
    this.open = [];
  }

  /** The events whose peak is known after further scores (T, K), the first of frame `first`; `fired` became `events`. */
  hear(events, fired, scores, first, keywords) {
    fired.forEach(({ row, keyword }, index) => {
      const begin = first + row;
      this.open.push({ event: { ...events[index], peak: events[index].score }, keyword, begin, end: begin + this.frames });
    });
    const heard = first + scores.length / keywords;
    for (const { event, keyword, begin, end } of this.open)
      for (let frame = Math.max(begin, first); frame < Math.min(end, heard); frame++)
        event.peak = Math.max(event.peak, scores[(frame - first) * keywords + keyword]);
    const known = this.open.filter(({ end }) => end <= heard);
    this.open = this.open.filter(({ end }) => end > heard);
    return known.map(({ event }) => event);
  }

  /** The stream has ended: the other events, with their peaks by now. */
  end() {
    return this.open.splice(0).map(({ event }) => event);
  }
}

/**
 * The candidates of the first pass (kws/decoding/candidates.py): frames in which a keyword's score peaks, decided
 * `hold` frames later; immutable.
 */
export class CandidateFinder {
  constructor(keywords, floor, hold) {
    this.keywords = keywords;
    this.floor = floor;
    this.hold = hold;
  }

  /** The state of a fresh stream: the scores and ages of the last 2 `hold` frames, (2 hold, K). */
  initState() {
    const size = 2 * this.hold * this.keywords;
    return { scores: new Float64Array(size), ages: new Int32Array(size) };
  }

  /** The candidates {row, keyword, score, age} that the frames decide, in order of time, and the new state. */
  run(newScores, newAges, state) {
    const { keywords, hold } = this;
    const scores = joined(state.scores, newScores);
    const ages = joined(state.ages, newAges);
    const found = [];
    for (let row = 0; row < newScores.length / keywords; row++) {
      for (let keyword = 0; keyword < keywords; keyword++) {
        const at = hold + row;
        const score = scores[at * keywords + keyword];
        if (score < this.floor) continue;
        let peak = true;
        for (let by = 1; by <= hold && peak; by++) {
          const before = scores[(at - by) * keywords + keyword];
          peak = before < score && scores[(at + by) * keywords + keyword] <= score;
        }
        if (peak) found.push({ row, keyword, score, age: ages[at * keywords + keyword] + hold });
      }
    }
    return { found, state: { scores: scores.slice(newScores.length), ages: ages.slice(newScores.length) } };
  }
}

const joined = (first, second) => {
  const all = new first.constructor(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
};

const copy = (state) => Object.fromEntries(Object.entries(state).map(([name, column]) => [name, column.slice()]));
