// The table of keywords: how near each is to its threshold, where that stands, and how often it was heard.

import { height } from "./timeline.js";

const FADE = 0.93; // of a meter, per frame

export const percent = (score) => score.toFixed(2);
export const colour = (index) => `var(--c${index % 8})`;

export class KeywordTable {
  /** body: of the table. keywords: of the model info. moved: thresholds by name, where they are not the keywords' own. */
  constructor(body, keywords, moved = new Map()) {
    this.keywords = keywords;
    this.thresholds = []; // as the sliders say; streams look at it in every chunk
    this.rows = keywords.map(({ name }, index) => this.#row(name, index));
    body.replaceChildren(...this.rows.map(({ row }) => row));
    keywords.forEach(({ name, threshold }, index) => this.#move(index, moved.get(name) ?? threshold));
  }

  /** The keywords' own thresholds again. */
  reset() {
    this.keywords.forEach(({ threshold }, index) => this.#move(index, threshold));
  }

  /** The thresholds by name. */
  moved() {
    return new Map(this.keywords.map(({ name }, index) => [name, this.thresholds[index]]));
  }

  /** Nothing has been heard. */
  clear() {
    for (const row of this.rows) row.count.textContent = "0";
    this.rest();
  }

  /** Nothing is heard now. */
  rest() {
    for (const row of this.rows) {
      row.recent = 0;
      row.bar.style.transform = "scaleX(0)";
    }
  }

  /** The scores (frames, keywords) of a chunk, and its events. */
  show({ scores, events }) {
    this.rows.forEach((row, index) => {
      for (let at = index; at < scores.length; at += this.rows.length)
        row.recent = Math.max(FADE * row.recent, scores[at]);
      row.bar.style.transform = `scaleX(${height(row.recent, this.thresholds[index])})`;
    });
    for (const { keyword } of events) {
      const { count } = this.rows[this.index(keyword)];
      count.textContent = Number(count.textContent) + 1;
    }
  }

  /** The number of a keyword, by name. */
  index(keyword) {
    return this.keywords.findIndex(({ name }) => name === keyword);
  }

  /** How often any was heard. */
  total() {
    return this.rows.reduce((sum, { count }) => sum + Number(count.textContent), 0);
  }

  #row(name, index) {
    const row = element("tr");
    row.style.setProperty("--own", colour(index));
    const head = element("th", name);
    head.scope = "row";
    const meter = element("span");
    meter.className = "meter";
    meter.ariaHidden = true; // it changes with every sound: what fires is said by the list
    const bar = meter.appendChild(element("span"));
    const slider = Object.assign(element("input"), { type: "range", min: 0.01, max: 0.99, step: "any" });
    slider.ariaLabel = `threshold of ${name}`;
    slider.oninput = () => this.#move(index, Number(slider.value));
    const shown = element("output");
    const both = element("span");
    both.className = "threshold";
    both.append(slider, shown);
    const count = element("td", "0");
    row.append(head, cell(meter, "score"), cell(both), count);
    return { row, bar, slider, shown, count, recent: 0 };
  }

  #move(index, threshold) {
    this.thresholds[index] = threshold;
    const { slider, shown } = this.rows[index];
    slider.value = threshold;
    slider.ariaValueText = shown.textContent = percent(threshold);
  }
}

export function element(name, text = "") {
  return Object.assign(document.createElement(name), { textContent: text });
}

function cell(content, className = "") {
  const made = Object.assign(element("td"), { className });
  made.append(content);
  return made;
}
