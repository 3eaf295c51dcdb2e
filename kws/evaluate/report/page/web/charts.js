// The curves, the scores and the threshold, the conditions.

// ---- false rejects against false accepts
const STRIP = 26; // of zeros, left and below
const scale = (low, high, from, to) => (value) =>
  from + ((Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low))) * (to - from);
const decades = (low, high) => {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high * 1.001; power++)
    for (const step of [1, 2, 5]) if (step * 10 ** power >= low && step * 10 ** power <= high * 1.001) found.push(step * 10 ** power);
  return found;
};
const det = { x: null, y: null };
const place = ({ fa_per_hour: fa, frr }, stop) => [
  fa[stop][0] ? det.x(fa[stop][0]) : det.x.zero, frr[stop][0] ? det.y(frr[stop][0]) : det.y.zero,
];
const places = (curve) => curve.thresholds.map((_, stop) => place(curve, stop));
const drawable = (keyword) => keyword.curve.frr && keyword.curve.fa_per_hour;
const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

function drawDet() {
  const box = $("det");
  if (!data.keywords.some(drawable)) {
    box.closest("figure").hidden = true; // without words, or without other audio, there is no curve
    return;
  }
  const narrow = box.clientWidth < 480;
  chart(box, narrow ? 340 : 430, "DET curves: share missed against false accepts per hour; the tables above hold the numbers", (root, width, height) => {
    const left = 62, right = width - 12, top = 10, bottom = height - 46;
    const [fa, frr] = [data.axes.fa_per_hour, data.axes.frr];
    det.x = scale(...fa, left + STRIP, right);
    det.y = scale(...frr, bottom - STRIP, top);
    det.x.zero = left + STRIP / 2;
    det.y.zero = bottom - STRIP / 2;
    root.append(
      svg("rect", { class: "gutter", x: left, y: top, width: STRIP - 4, height: bottom - top }),
      svg("rect", { class: "gutter", x: left, y: bottom - STRIP + 4, width: right - left, height: STRIP - 4 }),
      svg("clipPath", { id: "inside" }, svg("rect", { x: left, y: top, width: right - left, height: bottom - top })),
    );
    drawAxes(root, fa, frr, { left, right, top, bottom, narrow });
    const layer = svg("g", { "clip-path": "url(#inside)" });
    root.append(layer);
    if (data.unsupported > fa[0]) {
      const edge = Math.min(right, det.x(data.unsupported));
      layer.append(svg("rect", { class: "shade", x: left, y: top, width: edge - left, height: bottom - top }));
      layer.append(svg("text", { x: left + STRIP + 6, y: bottom - STRIP - 8 }, `under ${digits(data.unsupported)}/h: too few hours`));
    }
    const order = data.keywords.map((_, i) => i).filter((i) => drawable(data.keywords[i]));
    order.sort((a, b) => (a === state.word) - (b === state.word));
    for (const word of order) drawCurve(layer, word);
    hover(root, order);
  });
}

function drawAxes(root, fa, frr, { left, right, top, bottom, narrow }) {
  for (const value of decades(...fa)) {
    const x = det.x(value), label = digits(value);
    root.append(svg("line", { class: "grid", x1: x, x2: x, y1: top, y2: bottom }));
    if (!narrow || /^0?\.?0*1/.test(label)) root.append(svg("text", { x, y: bottom + 16, "text-anchor": "middle" }, label));
  }
  for (const value of decades(...frr)) {
    const y = det.y(value);
    root.append(svg("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }));
    if (det.y.zero - y > 14) root.append(svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, `${digits(100 * value)} %`));
  }
  root.append(
    svg("text", { x: det.x.zero - 2, y: bottom + 16, "text-anchor": "middle" }, "0"),
    svg("text", { x: left - 6, y: det.y.zero + 4, "text-anchor": "end" }, "none"),
    svg("text", { class: "title", x: (left + right) / 2, y: bottom + 38, "text-anchor": "middle" }, "false accepts per hour"),
    svg("text", { class: "title", x: 12, y: (top + bottom) / 2, transform: `rotate(-90 12 ${(top + bottom) / 2})`, "text-anchor": "middle" }, "share missed"),
  );
}

function drawCurve(layer, word) {
  const keyword = data.keywords[word], curve = keyword.curve, chosen = word === state.word, tone = colour(word);
  const points = places(curve);
  if (chosen) {
    const edge = (part) => curve.frr.map((frr, stop) => [points[stop][0], frr[part] > data.axes.frr[0] ? det.y(frr[part]) : det.y.zero]);
    layer.append(svg("path", { class: `band f${tone}`, d: `${path(edge(1))}${path(edge(2).reverse()).replace("M", "L")}Z` }));
  }
  if (chosen && keyword.earlier) layer.append(svg("path", { class: "earlier sink", d: path(places(keyword.earlier)) }));
  layer.append(svg("path", { class: `curve s${tone}${chosen ? " chosen" : ""}`, d: path(points) }));
  if (!chosen) return;
  for (const point of [...keyword.points].reverse()) { // its own last, above the others
    const stop = curve.thresholds.indexOf(point.threshold);
    if (stop < 0) continue;
    const [x, y] = points[stop], [, low, high] = curve.fa_per_hour[stop];
    layer.append(svg("line", { class: `whisker s${tone}`, x1: low > data.axes.fa_per_hour[0] ? det.x(low) : det.x.zero, x2: det.x(high), y1: y, y2: y }));
    layer.append(
      point.target === null
        ? svg("path", { class: `mark f${tone}`, d: `M${x} ${y - 8}l8 8l-8 8l-8 -8Z` })
        : svg("circle", { class: `mark f${tone}`, cx: x, cy: y, r: 4.5 }),
    );
  }
  const [x, y] = points[state.stop];
  layer.append(svg("circle", { class: "here", cx: x, cy: y, r: 10 }));
}

function hover(root, order) {
  const nearest = (event) => {
    const box = root.getBoundingClientRect(), ratio = root.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
    let best = { distance: 26 };
    for (const word of order)
      data.keywords[word].curve.thresholds.forEach((_, stop) => {
        const [px, py] = place(data.keywords[word].curve, stop);
        const distance = Math.hypot(px - x, py - y) - (word !== state.word ? 0 : stop === state.stop ? 5 : 4);
        if (distance < best.distance) best = { distance, word, stop };
      });
    return best;
  };
  root.addEventListener("pointermove", (event) => {
    const { word, stop } = nearest(event);
    if (word === undefined) return tip();
    const keyword = data.keywords[word];
    tip(`${keyword.name} at ${digits(keyword.curve.thresholds[stop])}\n${misses(keyword, stop)}\n${accepts(keyword, stop)}`, event.pageX, event.pageY);
  });
  root.addEventListener("pointerleave", () => tip());
  root.addEventListener("click", (event) => {
    const { word, stop } = nearest(event);
    if (word === undefined) return;
    choose(word, stop);
  });
}

// ---- scores
function drawScores() {
  const keyword = data.keywords[state.word], { edges, positives, false_accepts: woke } = keyword.histogram;
  const said = positives.some(Boolean), threshold = keyword.curve.thresholds[state.stop] ?? 1;
  $("said-too").hidden = !said;
  const label = `Scores of ${keyword.name} at ${digits(threshold)}: ${misses(keyword, state.stop)}; ${accepts(keyword, state.stop)}`;
  chart($("scores"), 260, label, (root, width, height) => {
    const left = 40, right = width - 8, top = 26, bottom = height - 34; // above `top` stand the legends, where no bar is
    const up = said ? Math.sqrt(Math.max(...positives)) : 0, down = Math.sqrt(Math.max(1, ...woke));
    const middle = top + ((bottom - top) * up) / (up + down), unit = (bottom - top) / (up + down);
    const x = (score) => left + score * (right - left);
    edges.slice(0, -1).forEach((edge, i) => {
      const [from, wide] = [x(edge) + 0.5, x(edges[i + 1]) - x(edge) - 1];
      for (const [kind, n, sign] of [["said", positives[i], -1], ["woke", woke[i], 1]]) {
        if (!n) continue;
        const tall = Math.sqrt(n) * unit;
        const below = edges[i + 1] <= threshold; // pale: a word that is missed, or a sound that wakes nothing
        const bar = svg("rect", { class: `${kind}${below ? " below" : ""}`, x: from, width: wide, y: sign < 0 ? middle - tall : middle, height: tall });
        const what = kind === "said" ? (below ? "words missed" : "words") : below ? "false accepts if the threshold were so low" : "false accepts";
        bar.append(svg("title", {}, `${n} ${what}, scores from ${digits(edge)} to ${digits(edges[i + 1])}`));
        root.append(bar);
      }
    });
    for (const score of [0, 0.25, 0.5, 0.75, 1]) root.append(svg("text", { x: x(score), y: bottom + 16, "text-anchor": "middle" }, String(score)));
    const limit = x(Math.min(1, threshold));
    root.append(
      svg("line", { class: "grid", x1: left, x2: right, y1: middle, y2: middle }),
      ...(said ? [svg("text", { x: left - 6, y: top + 10, "text-anchor": "end" }, String(Math.max(...positives)))] : []),
      svg("text", { x: left - 6, y: bottom, "text-anchor": "end" }, String(Math.max(0, ...woke))),
      svg("text", { class: "title", x: (left + right) / 2, y: bottom + 32, "text-anchor": "middle" }, "score"),
      svg("line", { class: "limit", x1: limit, x2: limit, y1: top, y2: bottom }),
    );
    root.append(
      ...(said ? [svg("text", { class: "legend said-text", x: left, y: 12 }, "↑ words said")] : []),
      svg("text", { class: "legend woke-text", x: right, y: 12, "text-anchor": "end" }, "↓ other audio"),
    );
    root.addEventListener("click", (event) => {
      const box = root.getBoundingClientRect();
      moveTo((((event.clientX - box.left) / box.width) * width - left) / (right - left));
    });
  });
}

// The threshold goes from one where a count changes to another; at least to the next one, however small the wish.
function moveTo(score) {
  const all = data.keywords[state.word].curve.thresholds, before = state.stop;
  const nearest = all.reduce((best, threshold, stop) => (Math.abs(threshold - score) < Math.abs(all[best] - score) ? stop : best), 0);
  toStop(nearest === before ? before + Math.sign(score - all[before]) : nearest);
}
function toStop(stop) {
  state.stop = Math.max(0, Math.min(data.keywords[state.word].curve.thresholds.length - 1, stop));
  drawCurves();
}

function readout() {
  const keyword = data.keywords[state.word], slider = $("threshold"), threshold = keyword.curve.thresholds[state.stop];
  slider.value = threshold;
  const known = [keyword.points[state.point], ...keyword.points].find((point) => point.threshold === threshold);
  const name = known ? ` (${known.target === null ? "its own threshold" : data.points[keyword.points.indexOf(known)]})` : "";
  slider.setAttribute("aria-valuetext", `${digits(threshold)}: ${misses(keyword, state.stop)}; ${accepts(keyword, state.stop)}`);
  $("readout").replaceChildren(
    html("b", {}, `${keyword.name} at ${threshold.toFixed(3)}${name}`), html("br"),
    `${misses(keyword, state.stop)}`, html("br"), accepts(keyword, state.stop),
  );
}

const stopOf = (keyword) => Math.max(0, keyword.curve.thresholds.indexOf(keyword.points[state.point].threshold));
function choose(word, stop = null) {
  state.word = word;
  state.stop = stop === null ? stopOf(data.keywords[word]) : stop;
  for (const [i, chip] of [...$("chips").children].entries()) {
    chip.setAttribute("aria-pressed", String(i === word));
    chip.firstChild.className = `b${colour(i)}`;
  }
  drawCurves();
  drawConditions();
}
function drawCurves() {
  drawDet();
  drawScores();
  readout();
}

// ---- conditions
function drawConditions() {
  const box = $("condition-chart"), names = data.conditions;
  if (!box) return; // one condition alone
  const rows = [{ name: data.keywords.length > 1 ? "all keywords" : data.keywords[0].name, tone: "ink", found: data.all.conditions }];
  if (data.keywords.length > 1) rows.push({ name: data.keywords[state.word].name, tone: colour(state.word), found: data.keywords[state.word].conditions });
  const counts = rows.flatMap((row) => names.map((name) => row.found[name]?.[state.point])).filter((count) => count?.frr);
  const most = Math.min(1, Math.max(0.02, ...counts.map((count) => count.frr[2])) * 1.05);
  chart(box, 260, "Share missed under each condition; the table below holds the numbers", (root, width, height) => {
    const left = 48, right = width - 8, top = 26, bottom = height - 26;
    const y = (share) => bottom - (share / most) * (bottom - top), wide = (right - left) / names.length;
    const step = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25].find((size) => most / size <= 6) ?? 0.25;
    for (let share = 0; share <= most + 1e-9; share += step)
      root.append(svg("line", { class: "grid", x1: left, x2: right, y1: y(share), y2: y(share) }), svg("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, `${digits(100 * share)} %`));
    names.forEach((name, i) => root.append(svg("text", { class: "title", x: left + wide * (i + 0.5), y: bottom + 18, "text-anchor": "middle" }, name)));
    rows.forEach((row, number) => {
      const offset = (number - (rows.length - 1) / 2) * Math.min(18, wide / 4);
      root.append(svg("circle", { class: `f${row.tone}`, cx: left + 6 + number * 150, cy: 10, r: 5 }), svg("text", { class: "title", x: left + 16 + number * 150, y: 14 }, row.name.slice(0, 20)));
      names.forEach((name, i) => {
        const count = row.found[name]?.[state.point];
        if (!count?.frr) return;
        const [value, low, high] = count.frr, x = left + wide * (i + 0.5) + offset;
        root.append(
          svg("line", { class: `s${row.tone}`, "stroke-width": 2, x1: x, x2: x, y1: y(low), y2: y(Math.min(most, high)) }),
          svg("circle", { class: `f${row.tone}`, cx: x, cy: y(value), r: 5 }, svg("title", {}, `${row.name}, ${name}: ${count.misses} of ${count.positives}`)),
        );
      });
    });
  });
}
