// The page: what its buttons do, and what it says. Sound goes capture.js -> detector.js -> timeline.js.

import { openMicrophone, readSound } from "./capture.js";
import { Timeline, height } from "./timeline.js";

const RATE = 16000;
const LATE_S = 10; // of sound waiting: then this machine cannot keep up
const SILENT_S = 2; // without one bit of sound: then the microphone is muted
const ONE_BIT = 2 ** -15;
const TELL_MS = 3000; // between two words on how far a file is: they are read aloud
const MOST_EVENTS = 200; // that are listed

const $ = (id) => document.getElementById(id);
const percent = (score) => score.toFixed(2);

let detector; // the model, opened
let timeline;
let rows; // of the table, one for each keyword
let thresholds; // as the sliders say
let source = null; // what is heard now: {stop}; null when nothing is

async function start() {
  let Detector;
  try {
    ({ Detector } = await import("./detector.js"));
  } catch (error) {
    throw new Error(
      `onnxruntime-web could not be loaded from beside this page (${error.message}). Make the page with: kws web -o FOLDER --download`,
    );
  }
  const models = await (await get("models.json")).json();
  $("model").replaceChildren(...models.map(({ name, file }) => new Option(name, file)));
  $("model").onchange = guarded(() => open($("model").value, $("model").selectedOptions[0].text));
  const open = async (file, name) => {
    stop();
    enable(false);
    say(`Loading ${name} …`);
    show(await Detector.load(new Uint8Array(await (await get(file)).arrayBuffer())));
    enable(true);
    say(`${name} is ready.`);
  };
  await open(models[0].file, models[0].name);
}

/** The page for a model. */
function show(opened) {
  detector = opened;
  const { manifest } = detector;
  thresholds = manifest.keywords.map((keyword) => keyword.threshold);
  timeline = new Timeline($("timeline"), manifest);
  rows = manifest.keywords.map(({ name }, index) => keywordRow(name, index));
  $("keywords").replaceChildren(...rows.map(({ row }) => row));
  resetThresholds();
  const names = manifest.keywords.map(({ name }) => `“${name}”`);
  const few = names.slice(0, 6);
  const more = names.length - few.length;
  $("say").textContent =
    `Say ${few.slice(0, more ? 6 : -1).join(", ")} ${more ? `or ${more} other words` : `or ${few.at(-1)}`}`;
  $("about").textContent =
    `${manifest.name}: ${manifest.parameters.toLocaleString("en")} parameters, trained on ${manifest.training.data.map(({ name }) => name).join("; ")}.`;
  forget();
}

function keywordRow(name, index) {
  const row = document.createElement("tr");
  row.style.setProperty("--own", `var(--c${index % 8})`);
  const head = element("th", name);
  head.scope = "row";
  const meter = element("span");
  meter.className = "meter";
  meter.ariaHidden = true; // it changes with every sound: what fires is said by the list
  const bar = meter.appendChild(element("span"));
  const slider = Object.assign(element("input"), { type: "range", min: 0.01, max: 0.99, step: "any" });
  slider.ariaLabel = `threshold of ${name}`;
  const shown = element("output");
  slider.oninput = () => setThreshold(index, Number(slider.value));
  const both = element("span");
  both.className = "threshold";
  both.append(slider, shown);
  const count = element("td", "0");
  row.append(head, cell(meter, "score"), cell(both), count);
  return { row, bar, slider, shown, count, recent: 0 };
}

function setThreshold(index, value) {
  thresholds[index] = value;
  const { slider, shown } = rows[index];
  slider.value = value;
  slider.ariaValueText = shown.textContent = percent(value);
}

function resetThresholds() {
  detector.manifest.keywords.forEach(({ threshold }, index) => setThreshold(index, threshold));
}

/** An empty picture, empty lists. */
function forget(seconds = null) {
  timeline.reset(seconds);
  for (const row of rows) {
    row.recent = 0;
    row.bar.style.transform = "scaleX(0)";
    row.count.textContent = "0";
  }
  const none = element("li", "Nothing yet. Say one of the words, or open a sound file.");
  none.className = "none";
  $("events").replaceChildren(none);
  $("player").pause();
  URL.revokeObjectURL($("player").src);
  $("player").removeAttribute("src");
  $("player").hidden = true;
  complain("");
}

async function listen() {
  if (source) return stop("Stopped.");
  forget();
  say("Waiting for the microphone …");
  const hearing = begin();
  let silent = 0;
  let waiting = 0; // samples that have come and are not heard yet
  let done = Promise.resolve();
  let stream = null;
  let rate = RATE;
  const hear = (samples) => {
    if (hearing.stopped || !stream) return;
    silent = samples.some((sample) => Math.abs(sample) >= ONE_BIT) ? 0 : silent + samples.length;
    if (silent >= SILENT_S * rate) say("The microphone gives nothing but silence. Is it muted?");
    else if (silent === 0) say(`Listening through ${hearing.name} at ${rate / 1000} kHz.`);
    waiting += samples.length;
    if (waiting > LATE_S * rate)
      return lose("This machine cannot keep up with the sound: close what else it does, then listen again.");
    showLevel(samples);
    done = done.then(async () => {
      if (!hearing.stopped) take(await stream.push(samples));
      waiting -= samples.length;
    });
    done.catch((error) => lose(error.message));
  };
  const lose = (sentence) => {
    if (hearing.stopped) return;
    stop("Stopped.");
    complain(sentence);
  };
  try {
    const microphone = await openMicrophone(hear, lose);
    if (hearing.stopped) return microphone.close();
    hearing.close = microphone.close;
    hearing.name = microphone.name;
    rate = microphone.rate;
    stream = detector.stream(rate, thresholds);
  } catch (error) {
    stop("Not listening.");
    throw error;
  }
}

/** Hears a whole sound (Blob) as fast as this machine can. */
async function hearFile(file, name) {
  stop();
  say(`Reading ${name} …`);
  const hearing = begin();
  try {
    const sound = await readSound(file, name);
    if (hearing.stopped) return;
    const seconds = sound.length / RATE;
    forget(seconds);
    $("player").src = URL.createObjectURL(file);
    $("player").hidden = false;
    const stream = detector.stream(RATE, thresholds);
    const began = performance.now();
    for (let at = 0, told = began; at < sound.length && !hearing.stopped; at += RATE) {
      take(await stream.push(sound.subarray(at, at + RATE)));
      if (performance.now() - told > TELL_MS) {
        told = performance.now();
        say(`Hearing ${name}: ${at / RATE} of ${Math.round(seconds)} s`);
      }
      await new Promise((resume) => setTimeout(resume)); // the page stays alive
    }
    if (hearing.stopped) return;
    take(await stream.flush());
    const took = (performance.now() - began) / 1000;
    stop(`Heard ${seconds.toFixed(1)} s of ${name} in ${took.toFixed(1)} s: ${heard()}.`);
  } catch (error) {
    if (!hearing.stopped) stop("Nothing was heard.");
    throw error;
  }
}

function begin() {
  source = { stopped: false, name: "", close: () => {} };
  $("listen").textContent = "Stop";
  $("listen").classList.add("on");
  complain("");
  return source;
}

function stop(sentence) {
  if (source) {
    source.stopped = true;
    source.close();
    source = null;
  }
  $("listen").textContent = "Listen";
  $("listen").classList.remove("on");
  $("level").style.transform = "scaleX(0)";
  for (const { bar } of rows ?? []) bar.style.transform = "scaleX(0)";
  if (timeline) describe();
  if (sentence) say(sentence);
}

/** Shows what a stream made of the sound. */
function take(results) {
  for (const result of results) {
    timeline.add(result, thresholds);
    rows.forEach((row, index) => {
      for (let at = index; at < result.scores.length; at += rows.length)
        row.recent = Math.max(0.93 * row.recent, result.scores[at]);
      row.bar.style.transform = `scaleX(${height(row.recent, thresholds[index])})`;
    });
    result.events.forEach(list);
  }
}

function list({ keyword, score, end_s: end }) {
  const index = detector.manifest.keywords.findIndex(({ name }) => name === keyword);
  rows[index].count.textContent = Number(rows[index].count.textContent) + 1;
  const item = element("li");
  item.style.setProperty("--own", `var(--c${index % 8})`);
  item.append(
    element("time", `${end.toFixed(2)} s`),
    element("b", keyword),
    element("small", `score ${percent(score)}`),
  );
  $("events").querySelector(".none")?.remove();
  $("events").prepend(item);
  while ($("events").children.length > MOST_EVENTS) $("events").lastChild.remove();
}

function heard() {
  const count = rows.reduce((sum, { count }) => sum + Number(count.textContent), 0);
  return count === 1 ? "1 event" : `${count} events`;
}

/** The picture in words, for those who do not see it. */
function describe() {
  const said = timeline.events.map(({ keyword, end_s: end }) => `${keyword} at ${end.toFixed(1)} s`);
  $("timeline").ariaLabel =
    `Spectrogram, phones and scores of what was heard last. Events: ${said.join(", ") || "none"}.`;
}

function showLevel(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const db = 10 * Math.log10(power + 1e-10);
  $("level").style.transform = `scaleX(${Math.min(1, Math.max(0, (db + 65) / 55))})`;
}

function say(sentence) {
  if ($("status").textContent !== sentence) $("status").textContent = sentence;
}

function complain(sentence) {
  $("problem").textContent = sentence;
  $("problem").hidden = !sentence;
}

/** An action whose errors are told to the person. */
function guarded(action) {
  return (...values) => Promise.resolve(action(...values)).catch((error) => complain(error.message));
}

function enable(on) {
  for (const id of ["listen", "example", "file", "model", "reset"]) $(id).disabled = !on;
}

async function get(file) {
  const response = await fetch(file).catch(() => ({ ok: false, status: "no answer" }));
  if (!response.ok)
    throw new Error(`${file} could not be loaded (${response.status}). Make the page anew with: kws web -o FOLDER`);
  return response;
}

function element(name, text = "") {
  return Object.assign(document.createElement(name), { textContent: text });
}

function cell(content, className = "") {
  const made = Object.assign(element("td"), { className });
  made.append(content);
  return made;
}

$("player").ontimeupdate = () => $("player").hidden || timeline.point($("player").currentTime);
$("listen").onclick = guarded(listen);
$("reset").onclick = resetThresholds;
$("example").onclick = guarded(async () => hearFile(await (await get("example.wav")).blob(), "the example"));
$("file").onchange = guarded(async () => {
  const [file] = $("file").files;
  $("file").value = ""; // so that the same file can be opened again
  if (file) await hearFile(file, file.name);
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener(
  "drop",
  guarded(async (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file && detector) await hearFile(file, file.name);
  }),
);
addEventListener("resize", () => timeline?.request());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => timeline?.request());
guarded(start)().then(() => detector || say("The page cannot hear."));
