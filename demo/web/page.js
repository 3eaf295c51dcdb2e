// The page: the actions of its buttons, and its messages. Sound goes capture.js -> hearing.js -> detector.js -> timeline.js.

import { readSound } from "./capture.js";
import { Hearing } from "./hearing.js";
import { KeywordTable, colour, element, percent } from "./keywords.js";
import { RATE } from "./resample.js";
import { Signal } from "./signal.js";
import { Timeline } from "./timeline.js";

const MOST_EVENTS = 200; // that are listed
const MOST_NAMED = 6; // keywords in the headline

const $ = (id) => document.getElementById(id);

const opened = new Map(); // file -> Detector: to go back to a model is instant
const signal = new Signal($("say"), $("beep"));
let live = false; // whether what is heard is said now
let detector;
let timeline;
let table;
let hearing = null; // what is heard now, if anything

async function start() {
  const models = await (await get("models.json")).json();
  $("model").replaceChildren(...models.map(({ name, file }) => new Option(name, file)));
  await open();
}

/** Opens the model that is chosen; where that fails the one before stays. */
async function open() {
  const { value: file, text: name } = $("model").selectedOptions[0];
  stop();
  enable(false);
  complain("");
  say(`Loading ${name} …`);
  try {
    if (!opened.has(file)) opened.set(file, await load(file));
    show(opened.get(file));
    say(`${name} is ready.`);
  } catch (error) {
    $("model").value = [...opened.keys()].find((key) => opened.get(key) === detector) ?? file;
    if (detector) say(`${$("model").selectedOptions[0].text} is still there.`);
    throw error;
  } finally {
    enable(Boolean(detector));
    $("model").disabled = false;
  }
}

async function load(file) {
  let Detector;
  try {
    ({ Detector } = await import("./detector.js"));
  } catch (error) {
    throw new Error(
      `onnxruntime-web could not be loaded from beside this page (${error.message}). Make the page with: kws web -o FOLDER --download`,
    );
  }
  return Detector.load(new Uint8Array(await (await get(file)).arrayBuffer()));
}

/** The page for a detector. moved: thresholds by name, where they are not the keywords' own. */
function show(shown, moved) {
  detector = shown;
  const { info } = detector;
  if (timeline) timeline.open(info);
  else timeline = new Timeline($("timeline"), info);
  table = new KeywordTable($("keywords"), info.keywords, moved);
  $("say").textContent = invitation(info.keywords.map(({ name }) => `“${name.replaceAll(" ", "\u00a0")}”`));
  $("known").textContent = info.tokens.slice(1).join(" ");
  $("about").textContent =
    `${info.name}: ${info.parameters.toLocaleString("en")} parameters, trained on ${info.training.data.map(({ name }) => name).join("; ")}.`;
  forget();
}

function invitation(names) {
  if (names.length < 2) return names.length ? `Say ${names[0]}` : "Add a phrase to listen for";
  const few = names.slice(0, names.length > MOST_NAMED ? MOST_NAMED : -1);
  const more = names.length - few.length;
  return `Say ${few.join(", ")} or ${more > 1 ? `${more} other words` : names.at(-1)}`;
}

/** An empty picture, empty lists. seconds: how much of a file is to be heard. */
function forget(seconds = null) {
  timeline.reset(seconds);
  table.clear();
  const none = element("li", "Nothing yet: listen, or open a sound file.");
  none.className = "none";
  $("events").replaceChildren(none);
  $("player").pause();
  URL.revokeObjectURL($("player").src);
  $("player").removeAttribute("src");
  $("player").hidden = true;
}

/** Hears one thing, and nothing else meanwhile. action(hearing): resolves to what is said when it is over. */
async function hear(action, failure) {
  stop();
  const own = (hearing = new Hearing(detector, table.thresholds, { show: take, level, say }));
  $("listen").textContent = "Stop";
  $("listen").classList.add("on");
  complain("");
  try {
    const sentence = await action(own);
    if (!own.stopped) stop(sentence);
  } catch (error) {
    if (own.stopped) return;
    stop(failure);
    throw error;
  }
}

function listen() {
  if (hearing) return stop("Stopped.");
  forget();
  live = true;
  return hear((own) => own.microphone(), "Not listening.");
}

function hearFile(file, name) {
  live = false;
  return hear(async (own) => {
    say(`Reading ${name} …`);
    const sound = await readSound(file, name);
    if (own.stopped) return;
    const seconds = sound.length / RATE;
    forget(seconds);
    $("player").src = URL.createObjectURL(file);
    $("player").hidden = false;
    const took = await own.sound(sound, name);
    const count = table.total();
    return `Heard ${seconds.toFixed(1)} s of ${name} in ${took.toFixed(1)} s: ${count} ${count === 1 ? "event" : "events"}.`;
  }, "The file was not heard.");
}

function stop(sentence) {
  hearing?.stop();
  hearing = null;
  $("listen").textContent = "Listen";
  $("listen").classList.remove("on");
  level([]);
  table?.rest();
  if (timeline) describe();
  if (sentence) say(sentence);
}

/** Shows the results of a stream. */
function take(results) {
  for (const result of results) {
    timeline.add(result, table.thresholds);
    table.show(result);
    result.events.forEach(list);
    result.peaks.forEach(complete);
  }
}

/** The peak of an event in the list. */
function complete({ keyword, score, end_s: end, peak }) {
  const item = [...$("events").children].find(({ dataset }) => dataset.event === `${keyword} ${end}`);
  if (item) item.querySelector("small").textContent = `score ${percent(score)}, peak ${percent(peak)}`;
}

function list({ keyword, score, end_s: end }) {
  const item = element("li");
  item.dataset.event = `${keyword} ${end}`;
  item.style.setProperty("--own", colour(table.index(keyword)));
  signal.fire(colour(table.index(keyword)), live);
  item.append(
    element("time", `${end.toFixed(2)} s`),
    element("b", keyword),
    element("small", `score ${percent(score)}`),
  );
  $("events").querySelector(".none")?.remove();
  $("events").prepend(item);
  while ($("events").children.length > MOST_EVENTS) $("events").lastChild.remove();
}

/** The picture in words, for those who do not see it. */
function describe() {
  const said = timeline.events.map(({ keyword, end_s: end }) => `${keyword} at ${end.toFixed(1)} s`);
  $("timeline").ariaLabel =
    `Spectrogram, phones and scores of what was heard last. Events: ${said.join(", ") || "none"}.`;
}

function level(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / (samples.length || 1);
  const db = 10 * Math.log10(power + 1e-10);
  $("level").style.transform = `scaleX(${Math.min(1, Math.max(0, (db + 65) / 55))})`;
}

function addPhrase() {
  const more = detector.withKeyword($("phrase").value, $("phones").value);
  const { name } = more.info.keywords.at(-1);
  stop();
  show(more, table.moved());
  opened.set($("model").value, more);
  $("own").reset();
  say(`“${name}” is heard from now on.`);
}

function say(sentence) {
  if ($("status").textContent !== sentence) $("status").textContent = sentence;
}

function complain(sentence, place = "problem") {
  $(place).textContent = sentence;
  $(place).hidden = !sentence;
}

/** An action whose errors are told to the person. */
function guarded(action, place) {
  return async (...values) => {
    try {
      await action(...values);
      if (place) complain("", place);
    } catch (error) {
      complain(error.message, place);
    }
  };
}

function enable(on) {
  for (const id of ["listen", "example", "file", "model", "reset", "phrase", "phones", "add"]) $(id).disabled = !on;
}

async function get(file) {
  const response = await fetch(file).catch(() => ({ ok: false, status: "no answer" }));
  if (!response.ok)
    throw new Error(`${file} could not be loaded (${response.status}). Make the page anew with: kws web -o FOLDER`);
  return response;
}

$("model").onchange = guarded(open);
$("listen").onclick = guarded(listen);
$("reset").onclick = () => table.reset();
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
    if (file && !$("file").disabled) await hearFile(file, file.name);
  }),
);
$("own").onsubmit = (event) => {
  event.preventDefault();
  return guarded(addPhrase, "own-problem")();
};
$("player").ontimeupdate = () => $("player").hidden || timeline.point($("player").currentTime);
new ResizeObserver(() => timeline?.request()).observe($("timeline"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => timeline?.request());
guarded(start)().then(() => detector || say("The page cannot hear."));
