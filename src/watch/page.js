"use strict";
// The page of `k watch --web`: shows frames as they come, looks back, and asks for explanations.
const by = (id) => document.getElementById(id);

/** The frame that came last, and the one that is shown. */
let latest = null;
let shown = null;
/** The processing time until which is shown; null: now. */
let until = null;
/** Whether a frame is being fetched, and which is wanted after it. */
let fetching = false;
let wanted = null;

function lines(list, items, fill) {
  list.replaceChildren(...items.map((item) => {
    const line = document.createElement("li");
    fill(line, item);
    return line;
  }));
}

function show(frame) {
  shown = frame;
  by("picture").innerHTML = frame.svg;
  by("facts").replaceChildren(...frame.facts.map(([name, value]) => {
    const fact = document.createElement("div");
    const term = document.createElement("dt");
    const told = document.createElement("dd");
    term.textContent = name;
    told.textContent = value;
    told.dataset.fact = name;
    fact.append(term, told);
    return fact;
  }));
  lines(by("panes"), frame.panes, (line, pane) => { line.textContent = pane; });
  lines(by("lates"), frame.lates, (line, [record, words]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words;
    button.dataset.record = record;
    line.append(button);
  });
  steer();
}

/** Sets what says where in the stream one is. */
function steer() {
  if (latest === null) return;
  const scrub = by("scrub");
  scrub.min = latest.since;
  scrub.max = latest.now;
  scrub.value = until ?? latest.now;
  by("until").value = new Date(Number(scrub.value)).toISOString().slice(11, 19);
  const paused = until !== null;
  by("pause").textContent = paused ? "Go on" : "Pause";
  by("pause").setAttribute("aria-pressed", String(paused));
}

function say(words, wrong = false) {
  by("state").textContent = words;
  by("state").classList.toggle("wrong", wrong);
}

function state() {
  if (until !== null) return until >= latest.now ? "paused" : "looking back";
  return latest.ended ? "the input has ended" : "live";
}

const events = new EventSource("events");
events.addEventListener("frame", (event) => {
  const frame = JSON.parse(event.data);
  // Another run counts its records from 0.
  if (latest !== null && latest.run !== frame.run) {
    until = null;
    by("told").hidden = true;
  }
  latest = frame;
  say(state());
  if (until === null) show(frame);
  else steer();
});
events.addEventListener("error", () => say("no connection; trying again", true));

/** Shows what was seen until then; of many wishes the last. */
async function look(at) {
  until = Math.min(Math.max(at, latest.since), latest.now);
  say(state());
  steer();
  wanted = until;
  if (fetching) return;
  fetching = true;
  while (wanted !== null) {
    const next = wanted;
    wanted = null;
    try {
      const answer = await fetch(`frame?until=${next}`);
      const frame = await answer.json();
      if (until !== null) show(frame);
    } catch {
      say("no connection; trying again", true);
    }
  }
  fetching = false;
}

function live() {
  until = null;
  wanted = null;
  if (latest !== null) {
    say(state());
    show(latest);
  }
}

function pause() {
  if (latest === null) return;
  if (until !== null) live();
  else look(shown.until);
}

by("pause").addEventListener("click", pause);
by("scrub").addEventListener("input", (event) => look(Number(event.target.value)));
document.addEventListener("keydown", (event) => {
  if (latest === null || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && event.target instanceof HTMLButtonElement) return;
  const step = (shown.until - shown.from) / 10;
  const at = until ?? latest.now;
  const wishes = {
    " ": pause,
    ArrowLeft: () => look(Math.round(at - step)),
    ArrowRight: () => look(Math.round(at + step)),
    PageUp: () => look(Math.round(at - 10 * step)),
    PageDown: () => look(Math.round(at + 10 * step)),
    Home: () => look(latest.since),
    End: live,
    Escape: () => { by("told").hidden = true; },
  };
  const wish = wishes[event.key];
  if (wish === undefined) return;
  event.preventDefault();
  wish();
});

/** Returns what a person means who clicks there: the nearest record, or else a window. */
function meant(x, y) {
  let nearest = null;
  let least = 12;
  for (const mark of by("picture").querySelectorAll("[data-record]")) {
    const box = mark.getBoundingClientRect();
    const apart = Math.hypot((box.left + box.right) / 2 - x, (box.top + box.bottom) / 2 - y);
    if (apart < least) [nearest, least] = [mark, apart];
  }
  if (nearest !== null) return { record: nearest.dataset.record };
  const marks = document.elementsFromPoint(x, y).filter((mark) => by("picture").contains(mark));
  const found = marks.find((mark) => mark.dataset.start !== undefined);
  let wish = null;
  if (found !== undefined) {
    const { start, end, key } = found.dataset;
    wish = key === undefined ? { start, end } : { start, end, key };
  }
  // Where there are thousands, a shade stands for many records: one of them is meant, if one is near.
  const isShade = marks.some((mark) => mark.dataset.fate !== undefined);
  return isShade && shown.plane !== null ? { ...wish, ...near(x, y) } : wish;
}

/** Returns the event and processing time at a place on the screen, and how much some pixels are. */
function near(x, y) {
  const picture = by("picture").querySelector("svg");
  const [left, right, lower, upper, from, to, begin, end] = shown.plane;
  const box = picture.getBoundingClientRect();
  // The picture keeps its proportions within its box.
  const scale = Math.min(box.width / picture.viewBox.baseVal.width, box.height / picture.viewBox.baseVal.height);
  const px = (x - box.left - (box.width - picture.viewBox.baseVal.width * scale) / 2) / scale;
  const py = (y - box.top - (box.height - picture.viewBox.baseVal.height * scale) / 2) / scale;
  const across = (to - from) / (right - left);
  const up = (end - begin) / (lower - upper);
  return {
    at: Math.round(from + (px - left) * across),
    at_most: Math.ceil(8 * across),
    when: Math.round(begin + (lower - py) * up),
    when_most: Math.ceil(8 * up),
  };
}

async function explain(wish) {
  const query = new URLSearchParams(wish);
  by("told").hidden = false;
  by("lines").textContent = "…";
  try {
    const answer = await fetch(`explain?${query}`);
    by("lines").textContent = answer.ok ? (await answer.json()).join("\n") : await answer.text();
  } catch {
    by("lines").textContent = "no connection";
  }
}

by("picture").addEventListener("click", (event) => {
  const wish = shown && meant(event.clientX, event.clientY);
  if (wish) explain(wish);
});
by("lates").addEventListener("click", (event) => {
  const { record } = event.target.dataset;
  if (record !== undefined) explain({ record });
});
by("close").addEventListener("click", () => { by("told").hidden = true; });
