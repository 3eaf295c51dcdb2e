// The picture: spectrogram, phones and scores of the last seconds, one above the other, drawn on a canvas.

import { RATE } from "./resample.js";
import { COLUMNS_PER_SECOND, ROWS, Spectrum } from "./spectrum.js";

const LONGEST_S = 60; // of what a file shows; what lies before scrolls away
const GAP = 8; // CSS pixels between the bands
const AXIS = 20;
const SHARES = [0.38, 0.34, 0.28]; // of spectrogram, phones, scores
const FIRING_PX = 18; // height of an event's name
const FIRING_ROWS = 3;
const LEGIBLE_PX = 90; // a second must be that wide for the phones to be named

export class Timeline {
  /** info: the model info of the model whose posteriors and scores are shown. */
  constructor(canvas, info) {
    this.canvas = canvas;
    this.tinted = document.createElement("canvas");
    this.open(info);
  }

  /** Begins anew with another model. */
  open({ keywords, tokens, frame_samples: frameSamples }) {
    this.keywords = keywords.map(({ name }) => name);
    this.tokens = tokens; // the blank first
    this.framesPerSecond = RATE / frameSamples;
    this.reset();
  }

  /** Forgets everything. seconds: how much of a file there is to show; null for a microphone. */
  reset(seconds = null) {
    this.fileSeconds = seconds;
    this.spectrum = new Spectrum();
    this.sound = new Ring(ROWS, LONGEST_S * COLUMNS_PER_SECOND);
    this.phones = new Ring(this.tokens.length - 1, LONGEST_S * this.framesPerSecond);
    this.frames = []; // {scores relative to thresholds, best token} of each frame
    this.dropped = 0; // frames that have scrolled away
    this.events = [];
    this.cursor = null; // seconds: where the player is
    this.request();
  }

  /** Adds the result of a chunk (see Stream in detector.js). thresholds: those that hold. */
  add({ sound, posteriors, scores, events }, thresholds) {
    this.sound.push(this.spectrum.push(sound));
    const width = this.tokens.length;
    const columns = [];
    for (let at = 0, row = 0; at < posteriors.length; at += width, row++) {
      const frame = posteriors.subarray(at, at + width);
      columns.push(Uint8Array.from(frame.subarray(1), (log) => 255 * Math.sqrt(Math.exp(Math.min(0, log)))));
      const own = scores.subarray(row * thresholds.length, (row + 1) * thresholds.length);
      this.frames.push({
        heights: Array.from(own, (score, k) => height(score, thresholds[k])),
        best: indexOfMax(frame),
      });
    }
    this.phones.push(columns);
    const longest = LONGEST_S * this.framesPerSecond;
    while (this.frames.length > longest) {
      this.frames.shift();
      this.dropped++;
    }
    this.events = [...this.events, ...events].filter((event) => event.end_s * this.framesPerSecond > this.dropped);
    this.request();
  }

  /** Shows where the player is, in seconds. */
  point(seconds) {
    this.cursor = seconds;
    this.request();
  }

  /** Draws when the browser next paints; with reduced motion no more often than once a second. */
  request() {
    if (this.asked) return;
    this.asked = true;
    const draw = () => {
      this.asked = false;
      this.draw();
    };
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches && this.frames.length;
    setTimeout(() => requestAnimationFrame(draw), still ? 1000 : 0);
  }

  draw() {
    const { clientWidth: width, clientHeight: whole } = this.canvas;
    if (!width || !whole) return; // the style sheet has not come yet
    const scale = devicePixelRatio;
    this.canvas.width = width * scale;
    this.canvas.height = whole * scale;
    this.context = this.canvas.getContext("2d");
    this.context.scale(scale, scale);
    this.context.font = "12px system-ui, sans-serif";
    const styles = getComputedStyle(document.documentElement);
    this.colour = (name) => styles.getPropertyValue(`--${name}`);
    const now = (this.dropped + this.frames.length) / this.framesPerSecond;
    const live = Math.min(8, Math.max(3, width / 140));
    this.span = this.fileSeconds === null ? live : Math.min(LONGEST_S, Math.max(this.fileSeconds, now));
    this.from = Math.max(0, now - this.span);
    this.x = (seconds) => ((seconds - this.from) / this.span) * width;
    const heights = SHARES.map((share) => share * (whole - AXIS - 2 * GAP));
    const tops = [0, heights[0] + GAP, heights[0] + heights[1] + 2 * GAP];
    this.#drawStrip(this.sound, COLUMNS_PER_SECOND, 0, heights[0], "sound", true);
    this.#drawStrip(this.phones, this.framesPerSecond, tops[1], heights[1], "phones", false);
    this.#drawPhones(tops[1], heights[1]);
    this.#drawScores(tops[2], heights[2]);
    ["sound", "phones", "scores"].forEach((name, band) => this.#label(name, 6, tops[band] + 17));
    this.#drawEvents(tops[2], whole - AXIS);
    this.#drawAxis(whole - AXIS);
    this.#drawCursor(whole - AXIS);
  }

  /** A ring of columns in one colour, as dense as its values say. */
  #drawStrip(ring, perSecond, top, bandHeight, name, smooth) {
    const context = this.tinted.getContext("2d");
    this.tinted.width = this.canvas.width;
    this.tinted.height = Math.ceil(bandHeight * devicePixelRatio);
    context.imageSmoothingEnabled = smooth;
    for (const { source, first, count } of ring.pieces(this.from * perSecond)) {
      const left = this.x(first / perSecond) * devicePixelRatio;
      const right = this.x((first + count) / perSecond) * devicePixelRatio;
      context.drawImage(ring.canvas, source, 0, count, ring.rows, left, 0, right - left, this.tinted.height);
    }
    context.globalCompositeOperation = "source-in";
    context.fillStyle = this.colour(name);
    context.fillRect(0, 0, this.tinted.width, this.tinted.height);
    const width = this.canvas.clientWidth;
    this.context.fillStyle = this.colour("faint");
    this.context.fillRect(0, top, width, bandHeight);
    this.context.drawImage(this.tinted, 0, top, width, bandHeight);
  }

  /** The names of the best phones, each where it begins. */
  #drawPhones(top, bandHeight) {
    if (this.canvas.clientWidth / this.span < LEGIBLE_PX) return;
    const rows = this.tokens.length - 1;
    this.context.fillStyle = this.colour("ink");
    this.frames.forEach(({ best }, index) => {
      if (best === 0 || best === this.frames[index - 1]?.best) return;
      const y = top + ((rows - best + 0.5) / rows) * bandHeight;
      this.context.fillText(
        this.tokens[best],
        this.x((this.dropped + index + 1) / this.framesPerSecond) + 2,
        Math.max(y + 4, top + 11),
      );
    });
  }

  #drawScores(top, bandHeight) {
    const { context } = this;
    const width = this.canvas.clientWidth;
    context.fillStyle = this.colour("faint");
    context.fillRect(0, top, width, bandHeight);
    const y = (high) => top + bandHeight * (1 - high);
    context.strokeStyle = this.colour("edge");
    context.setLineDash([4, 4]);
    line(context, [
      [0, y(0.5)],
      [width, y(0.5)],
    ]);
    context.setLineDash([]);
    this.#label("threshold", width - context.measureText("threshold").width - 8, y(0.5) + 4);
    context.lineWidth = 2;
    this.keywords.forEach((_, keyword) => {
      if (!this.frames.some(({ heights }) => heights[keyword] > 0.01)) return;
      context.strokeStyle = this.colour(`c${keyword % 8}`);
      const points = this.frames.map(({ heights }, index) => [
        this.x((this.dropped + index + 1) / this.framesPerSecond),
        y(heights[keyword]),
      ]);
      line(context, points);
    });
    context.lineWidth = 1;
  }

  /** A line for each event, and a name where it fits: one row down where names would overlap. */
  #drawEvents(top, bottom) {
    const { context } = this;
    const taken = [];
    for (const { keyword, end_s: end } of this.events) {
      const x = this.x(end);
      const long = context.measureText(keyword).width + 14;
      const left = Math.max(0, Math.min(x - long / 2, this.canvas.clientWidth - long));
      if (x < 0) continue;
      let row = taken.findIndex((right) => right < left);
      if (row < 0) row = taken.length;
      const colour = this.colour(`c${this.keywords.indexOf(keyword) % 8}`);
      context.strokeStyle = context.fillStyle = colour;
      line(context, [
        [x, 0],
        [x, bottom],
      ]);
      if (row === FIRING_ROWS) continue;
      taken[row] = left + long;
      context.beginPath();
      context.roundRect(left, top + 3 + row * (FIRING_PX + 2), long, FIRING_PX, 9);
      context.fill();
      context.fillStyle = this.colour("card");
      context.fillText(keyword, left + 7, top + 16 + row * (FIRING_PX + 2));
    }
  }

  #drawCursor(bottom) {
    if (this.cursor === null) return;
    this.context.strokeStyle = this.colour("ink");
    line(this.context, [
      [this.x(this.cursor), 0],
      [this.x(this.cursor), bottom],
    ]);
  }

  #drawAxis(top) {
    const step = [1, 2, 5, 10, 20].find((seconds) => (seconds / this.span) * this.canvas.clientWidth > 60) ?? 30;
    this.context.strokeStyle = this.colour("edge");
    for (let second = Math.ceil(this.from / step) * step; second < this.from + this.span; second += step) {
      line(this.context, [
        [this.x(second), top],
        [this.x(second), top + 5],
      ]);
      const [text, left] = [`${second} s`, this.x(second) + 4];
      if (left + this.context.measureText(text).width > this.canvas.clientWidth) break;
      this.context.fillStyle = this.colour("soft");
      this.context.fillText(text, left, top + 14);
    }
  }

  /** Small words on a ground of their own, for what lies beneath may be of any colour. */
  #label(text, x, y) {
    const { context } = this;
    context.fillStyle = this.colour("card");
    context.beginPath();
    context.roundRect(x, y - 12, context.measureText(text).width + 8, 16, 4);
    context.fill();
    context.fillStyle = this.colour("soft");
    context.fillText(text, x + 4, y);
  }
}

/** The newest columns of a picture of alpha values, in a canvas that is written round and round. */
class Ring {
  constructor(rows, columns) {
    this.rows = rows;
    this.size = columns;
    this.canvas = document.createElement("canvas");
    this.canvas.width = columns;
    this.canvas.height = rows;
    this.context = this.canvas.getContext("2d");
    this.written = 0;
  }

  /** Columns (Uint8Array, the lowest row first), of which there are fewer than the ring holds. */
  push(columns) {
    for (const column of columns) {
      const image = new ImageData(1, this.rows);
      column.forEach((value, row) => (image.data[4 * (this.rows - 1 - row) + 3] = value));
      this.context.putImageData(image, this.written++ % this.size, 0);
    }
  }

  /** The columns from number `from` on, in pieces that are whole in the canvas, at `source`; `first` is a number. */
  *pieces(from) {
    let first = Math.max(0, Math.floor(from), this.written - this.size);
    while (first < this.written) {
      const source = first % this.size;
      const count = Math.min(this.written - first, this.size - source);
      yield { source, first, count };
      first += count;
    }
  }
}

/** The height of a score between 0 and 1, at which its threshold stands at 0.5. */
export function height(score, threshold) {
  if (score < threshold) return (0.5 * score) / threshold;
  return threshold < 1 ? 0.5 + (0.5 * (score - threshold)) / (1 - threshold) : 1;
}

function indexOfMax(row) {
  let best = 0;
  row.forEach((value, index) => (best = value > row[best] ? index : best));
  return best;
}

function line(context, points) {
  context.beginPath();
  points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}
