// The timeline, a card for each miss and false accept, and the player.

// ---- misses and false accepts
const seconds = (s) => (s < 60 ? `${s.toFixed(1)} s` : `${Math.floor(s / 3600) ? `${Math.floor(s / 3600)} h ` : ""}${Math.floor((s % 3600) / 60)} min ${(s % 60).toFixed(1)} s`);
const scoreOf = (event) => event.scores[state.point]; // null: nothing is wrong at this operating point
const kindOf = (event) => (event.kind === "miss" ? "miss" : event.role === "confusable" ? "confusable" : "accept");
const chosenEvents = () => {
  const [kind, word, condition] = ["kind", "word", "condition"].map((id) => $(id).value);
  return data.events.map((event, i) => i).filter((i) => {
    const event = data.events[i];
    return (
      scoreOf(event) !== null && (!kind || event.kind === kind) && (!word || event.keyword === word) &&
      (event.kind === "accept" || !condition || event.condition === condition)
    );
  });
};
const about = (event) => {
  const { threshold } = data.keywords.find((keyword) => keyword.name === event.keyword).points[state.point], score = scoreOf(event);
  const places = score.toFixed(2) === threshold.toFixed(2) ? 4 : 2; // scores come with no more
  return `peak ${score.toFixed(places)} ${event.kind === "miss" && score < threshold ? "<" : "≥"} ${threshold.toFixed(places)}`;
};
const VERDICTS = { miss: "missed", accept: "false accept", confusable: "confusable phrase" };
const verdict = (event) => VERDICTS[kindOf(event)];
const tally = (chosen) => {
  const counted = (kind, one, many) => {
    const n = chosen.filter((i) => kindOf(data.events[i]) === kind).length;
    return `${n} ${n === 1 ? one : many}`;
  };
  const confusable = data.events.some((event) => kindOf(event) === "confusable");
  return [
    counted("miss", "miss", "misses"), counted("accept", "false accept", "false accepts"),
    ...(confusable ? [counted("confusable", "confusable phrase", "confusable phrases")] : []),
  ].join(", ");
};

function drawTimeline(chosen) {
  const words = data.keywords.map((keyword) => keyword.name).filter((name) => chosen.some((i) => data.events[i].keyword === name));
  const order = (event) => (event.order - 0.5) / event.out_of;
  const panels = [
    ["Misses, along each keyword’s words in order", order, "miss"],
    [`False accepts, along ${digits(data.audio_s / 3600)} h of audio`, (event) => event.at_s / data.audio_s, "accept"],
    ["Confusable phrases that woke it, in order", order, "confusable"],
  ];
  const figures = panels.map(([title, along, kind]) => {
    const mine = chosen.filter((i) => kindOf(data.events[i]) === kind);
    return mine.length ? { title, along, mine, box: html("div", { class: "chart" }) } : null;
  }).filter(Boolean);
  $("timeline").replaceChildren(...figures.map(({ title, box }) => html("figure", {}, html("figcaption", {}, html("b", {}, title)), box)));
  for (const { title, along, mine, box } of figures) drawLanes(box, title, along, mine, words.filter((name) => mine.some((i) => data.events[i].keyword === name)));
}

function drawLanes(box, title, along, mine, words) {
  const lane = words.length > 12 ? 18 : 26;
  const root = chart(box, words.length * lane + 4, title, (root, width) => {
    const left = Math.min(130, width * 0.28), right = width - 10;
    words.forEach((name, row) => {
      const y = row * lane + lane / 2 + 2;
      root.append(svg("rect", { class: "lane", x: left - 8, y: y - lane / 2 + 2, width: right - left + 16, height: lane - 4, rx: 4 }));
      root.append(svg("text", { x: left - 14, y: y + 4, "text-anchor": "end" }, name.length > 16 ? `${name.slice(0, 15)}…` : name));
    });
    for (const i of [...mine].reverse()) {
      const event = data.events[i], x = left + along(event) * (right - left), y = words.indexOf(event.keyword) * lane + lane / 2 + 2;
      const shape = event.kind === "miss" ? svg("circle", { class: "said", cx: x, cy: y, r: 5.5 }) : svg("path", { class: "woke", d: `M${x} ${y - 7}l7 12h-14Z` });
      const mark = svg("g", { class: `event${data.clips[i]?.mp3 ? "" : " mute"}`, role: "button", tabindex: "-1", "data-event": i, "aria-label": `${event.keyword}, ${verdict(event)}, ${about(event)}, ${event.name}` }, shape);
      mark.append(svg("title", {}, `${event.keyword}: ${verdict(event)}, ${about(event)}\n${event.name}`));
      root.append(mark);
    }
  });
  root.setAttribute("role", "group");
  const marks = [...root.querySelectorAll(".event")].sort((a, b) => along(data.events[a.dataset.event]) - along(data.events[b.dataset.event]));
  marks[0].setAttribute("tabindex", "0"); // one stop for the tab key, arrows go on from there
  root.addEventListener("click", (event) => event.target.closest(".event") && show(Number(event.target.closest(".event").dataset.event)));
  root.addEventListener("keydown", (event) => {
    const at = marks.indexOf(event.target.closest(".event"));
    if (at < 0) return;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      const next = marks[(at + step + marks.length) % marks.length];
      marks[at].setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    } else if (event.key === "Enter" || event.key === " ") show(Number(marks[at].dataset.event));
    else return;
    event.preventDefault();
  });
}

function show(i) {
  const at = chosenEvents().indexOf(i);
  if (at >= state.cards) {
    state.cards = at + 1;
    drawCards(chosenEvents());
  }
  for (const node of document.querySelectorAll(".card, .event")) node.classList.toggle("on", Number(node.dataset.event) === i);
  const card = document.querySelector(`.card[data-event="${i}"]`);
  card.scrollIntoView({ block: "nearest" });
  if (data.clips[i]?.mp3) player.toggle(i);
}

const ICONS = { play: "M3 1l11 7-11 7Z", stop: "M2 2h12v12H2Z" };
const icon = (name) => svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
function drawCards(chosen) {
  const shown = chosen.slice(0, state.cards);
  if (player.now !== null && !shown.includes(player.now)) player.stop();
  $("cards").replaceChildren(...shown.map(card));
  $("more").hidden = chosen.length <= state.cards;
  $("shown").textContent = tally(chosen);
  $("marked").hidden = !shown.some((i) => data.events[i].words);
  player.draw();
}
function card(i) {
  const event = data.events[i], clip = data.clips[i];
  const box = html("article", { class: `card ${event.kind}`, "data-event": i });
  box.append(html("h3", {}, event.keyword, html("b", {}, verdict(event)), html("span", {}, about(event))));
  if (clip?.mp3) box.append(playerOf(i, clip, event));
  else box.append(html("p", {}, clip ? `No sound: ${clip.note}` : "Its sound is not in this page."));
  if (event.words) {
    const [before, here, after] = event.words;
    box.append(html("p", { class: "words" }, `“${before}`, html("mark", {}, here), `${after}”`));
  }
  const at = event.end_s === null ? "" : ` at ${seconds(event.end_s)}`;
  const where = event.kind === "accept" && event.role === "positive" ? "another keyword’s recording" : "";
  const rest = [where, event.kind === "miss" ? event.condition : "", event.speaker ? `said by ${event.speaker}` : ""].filter(Boolean);
  box.append(html("p", {}, [event.name + at, ...rest].join(" · ")));
  return box;
}
function playerOf(i, clip, event) {
  const button = html("button", { type: "button", "data-play": i, "aria-label": `Play ${event.keyword}, ${verdict(event)}, ${event.name}` }, icon("play"));
  button.addEventListener("click", () => player.toggle(i));
  const n = clip.bars.length, wave = svg("svg", { class: "wave", viewBox: `0 0 ${n} 36`, preserveAspectRatio: "none", "aria-hidden": "true" });
  if (clip.mark.length) {
    const [from, to] = clip.mark.map((s) => (s / clip.seconds) * n);
    wave.append(svg("rect", { class: "span", x: from, y: 0, width: Math.max(0.5, to - from), height: 36 }));
  }
  const bars = [...clip.bars].map((level, bar) => `M${bar + 0.5} ${18 - Math.max(0.5, parseInt(level, 36) / 2)}V${18 + Math.max(0.5, parseInt(level, 36) / 2)}`);
  wave.append(svg("path", { d: bars.join("") }), svg("path", { class: "played", d: "", "data-bars": bars.join("|") }));
  wave.addEventListener("click", (click) => {
    const box = wave.getBoundingClientRect();
    player.start(i, ((click.clientX - box.left) / box.width) * clip.seconds);
  });
  return html("div", { class: "player" }, button, wave);
}

// The sound goes through Web Audio: it plays from memory in every browser, needs no address, and seeks exactly.
const player = {
  context: null, source: null, now: null, offset: 0, begun: 0, sounds: new Map(),
  async sound(i) {
    if (!this.sounds.has(i)) {
      const bytes = Uint8Array.from(atob(data.clips[i].mp3), (c) => c.charCodeAt(0));
      this.sounds.set(i, await this.context.decodeAudioData(bytes.buffer));
    }
    return this.sounds.get(i);
  },
  toggle(i) {
    if (this.now === i) this.stop();
    else this.start(i, 0);
  },
  stop() {
    if (this.source) this.source.onended = null;
    this.source?.stop();
    this.source = this.now = null;
    this.draw();
  },
  async start(i, offset) {
    this.stop();
    this.context ??= new AudioContext();
    this.now = i;
    await this.context.resume();
    const sound = await this.sound(i);
    if (this.now !== i) return; // another one was chosen while this one was decoded
    this.source = new AudioBufferSourceNode(this.context, { buffer: sound });
    this.source.connect(this.context.destination);
    this.source.onended = () => this.stop();
    [this.offset, this.begun] = [offset, this.context.currentTime];
    this.source.start(0, offset);
    this.draw();
  },
  draw() {
    for (const button of document.querySelectorAll("[data-play]")) {
      const on = Number(button.dataset.play) === this.now;
      button.replaceChildren(icon(on ? "stop" : "play"));
      const wave = button.nextSibling, played = wave.querySelector(".played"), bars = played.dataset.bars.split("|");
      const at = on ? (this.offset + this.context.currentTime - this.begun) / data.clips[this.now].seconds : 0;
      played.setAttribute("d", bars.slice(0, Math.round(at * bars.length)).join(""));
    }
    if (this.source) requestAnimationFrame(() => this.source && this.draw());
  },
};
