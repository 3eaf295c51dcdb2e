"use strict";
// The parts that all scripts of the page share. Python puts common, charts, events and page one after the other into one function.
// They draw the numbers in #data and compute none of them; everything shown as text goes through textContent.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 8;
const PAGE = 24; // cards at a time
const state = { point: 0, word: 0, stop: 0, cards: PAGE };

// ---- small things
const fill = (node, attributes, children) => {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const digits = (value) => {
  if (value === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(value)));
  return String(Number(value.toFixed(size >= -2 ? Math.min(2, Math.max(0, 2 - size)) : Math.min(-size, 6))));
};
const percent = (value) => `${(100 * value).toFixed(value > 0 && value < 1e-3 ? 2 : 1)} %`;
const colour = (word) => (data.keywords.length <= COLOURS ? String(word) : word === state.word ? "0" : "grey");
const misses = (keyword, stop) => {
  const curve = keyword.curve;
  if (!curve.frr) return "never said";
  const [value, low, high] = curve.frr[stop];
  return `missed ${curve.misses[stop]} of ${keyword.positives}: ${percent(value)} (${percent(low)} to ${percent(high)})`;
};
const accepts = (keyword, stop) => {
  const curve = keyword.curve;
  if (!curve.fa_per_hour) return "no other audio";
  const [value, low, high] = curve.fa_per_hour[stop];
  const counted = `${curve.false_accepts[stop]} false accept${curve.false_accepts[stop] === 1 ? "" : "s"} in ${digits(keyword.hours)} h`;
  if (!curve.false_accepts[stop]) return `${counted}: at most ${digits(keyword.at_most)}/h at 95 %`;
  return `${counted}: ${digits(value)}/h (${digits(low)} to ${digits(high)})`;
};
const chart = (box, height, label, draw) => {
  const width = Math.max(260, box.clientWidth);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  draw(root, width, height);
  box.replaceChildren(root);
  return root;
};
const tip = (text, x, y) => {
  const box = $("tip");
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  box.style.left = `${Math.max(4, Math.min(x + 14, window.scrollX + document.documentElement.clientWidth - box.offsetWidth - 8))}px`;
  box.style.top = `${y + 16}px`;
};
