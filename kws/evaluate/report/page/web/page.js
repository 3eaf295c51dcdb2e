// The switches of the page.

// ---- all together
function drawEvents() {
  $("wrong").hidden = !data.events.some((event) => scoreOf(event) !== null);
  const chosen = chosenEvents();
  drawTimeline(chosen);
  drawCards(chosen);
}
function setPoint(number) {
  state.point = number;
  for (const node of document.querySelectorAll(".at-point")) node.hidden = Number(node.dataset.point) !== number;
  state.cards = PAGE;
  choose(state.word);
  drawEvents();
  scrollable();
}
// Only what scrolls is a stop of the tab key.
function scrollable() {
  for (const box of document.querySelectorAll(".scroll")) box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1;
}
function begin() {
  for (const node of document.querySelectorAll(".scripted")) node.hidden = false;
  data.keywords.forEach((keyword, i) => {
    const chip = html("button", { type: "button" }, html("i"), keyword.name);
    chip.addEventListener("click", () => choose(i));
    $("chips").append(chip);
    $("word").append(html("option", { value: keyword.name }, keyword.name));
  });
  $("chips").hidden = data.keywords.length < 2;
  $("condition").append(...data.conditions.map((name) => html("option", { value: name }, name)), html("option", { value: "" }, "every condition"));
  for (const input of document.querySelectorAll(".switch input")) input.addEventListener("change", () => setPoint(Number(input.value)));
  $("threshold").addEventListener("input", (event) => moveTo(Number(event.target.value)));
  $("threshold").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!step) return;
    event.preventDefault();
    toStop(state.stop + step);
  });
  $("filters").addEventListener("input", () => {
    state.cards = PAGE;
    drawEvents();
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => {
    state.cards += PAGE;
    drawCards(chosenEvents());
  });
  const checked = document.querySelector(".switch input:checked");
  setPoint(checked ? Number(checked.value) : 0);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    drawCurves();
    drawConditions();
    drawTimeline(chosenEvents());
    scrollable();
  });
}
begin();
