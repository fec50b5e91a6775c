// Shows one trace as it happens. Whatever comes from the trace is only ever set as text.

import { watch } from "./stream.js";

const PREVIEW_CHARACTERS = 240;
const SHOWN_ELSEWHERE = new Set(["tool", "tool_name", "duration_ms", "call_id", "parent_call_id"]);
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

const list = document.querySelector("#events");
const connection = document.querySelector("#connection");
const tally = document.querySelector("#tally");
const notice = document.querySelector("#notice");
const waiting = document.querySelector("#waiting");
const follow = document.querySelector("#follow");

let count = 0;
let errors = 0;
let first = null; // timestamps
let last = null;
let following = false; // whether the newest event is kept in view
let growing = false; // whether more events are to be expected
let scheduled = false;

function element(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

function asText(value, indent) {
  return typeof value === "string" && value !== "" ? value : JSON.stringify(value, null, indent);
}

function preview(event) {
  const line = element("span", "preview");
  if (event.tool_name) line.append(element("code", "tool", event.tool_name), " ");
  let left = PREVIEW_CHARACTERS;
  for (const [key, value] of Object.entries(event.details)) {
    if (SHOWN_ELSEWHERE.has(key)) continue;
    if (left <= 0) break;
    const text = asText(value).slice(0, left);
    left -= key.length + text.length;
    line.append(element("span", "key", key), ` ${text}${left <= 0 ? "…" : ""} `);
  }
  return line;
}

function fullDetails(event) {
  const all = element("dl", "full");
  for (const [key, value] of Object.entries(event.details)) {
    const text = element("pre", "", asText(value, 2));
    text.tabIndex = 0; // it may scroll
    const description = element("dd", "");
    description.append(text);
    all.append(element("dt", "", key), description);
  }
  return all;
}

function row(event) {
  const item = element("li", event.status);
  item.dataset.sequence = event.sequence;
  const hasDetails = Object.keys(event.details).length > 0;
  const line = element(hasDetails ? "summary" : "div", "line");
  const time = element("time", "time", CLOCK.format(new Date(event.timestamp)));
  time.dateTime = time.title = event.timestamp;
  line.append(
    element("span", "sequence", event.sequence),
    time,
    element("span", "event", event.event.replaceAll("_", " ")),
    element("span", `state ${event.status}`, event.status),
    preview(event),
    element("span", "duration", event.duration_ms === undefined ? "" : duration(event.duration_ms)),
  );
  if (!hasDetails) {
    item.append(line);
    return item;
  }
  const folded = document.createElement("details");
  folded.append(line);
  folded.addEventListener("toggle", () => folded.append(fullDetails(event)), { once: true });
  item.append(folded);
  return item;
}

function append(nodes) {
  const fragment = document.createDocumentFragment();
  fragment.append(...nodes);
  list.append(fragment);
  list.hidden = false;
  waiting.hidden = true;
  refresh();
}

// Once per painted frame, however many events came.
function refresh() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    const facts = [counted(count, "event"), counted(errors, "error"), duration(new Date(last) - new Date(first))];
    tally.textContent = count > 0 ? facts.join(" · ") : "";
    tally.classList.toggle("error", errors > 0);
    follow.hidden = following || !growing || count === 0;
    if (following) window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  });
}

function say(text, kind) {
  if (connection.textContent !== text) connection.textContent = text;
  connection.className = `state ${kind}`;
}

watch(list.dataset.traceId, {
  status(name, state) {
    switch (name) {
      case "catching up":
        if (count === 0) following = state === null || state === "running";
        growing = state === null || state === "running";
        return say("Catching up", "pending");
      case "live":
        growing = true;
        return say("Live", "running");
      case "ended":
        growing = false;
        waiting.textContent = "The trace ended without an event.";
        say(`Ended: ${state}`, state);
        return refresh();
      case "reconnecting":
        return say("Connection lost, reconnecting", "warning");
      case "refused":
        growing = false;
        waiting.hidden = true;
        if (notice.hidden) this.error(`The server closed the connection (code ${state}).`);
        say("Disconnected", "error");
        return refresh();
      default:
        return say("Connecting", "pending");
    }
  },
  events(events) {
    count += events.length;
    errors += events.filter((event) => event.status === "error").length;
    first ??= events[0].timestamp;
    last = events.at(-1).timestamp;
    append(events.map(row));
  },
  gap({ from, to, reason }) {
    const text =
      reason === "epoch"
        ? "The trace was deleted. What follows, if anything, is a new run under the same id."
        : `${from === to ? `Event ${from} is` : `Events ${from} to ${to} are`} no longer stored.`;
    append([element("li", "gap", text)]);
  },
  reset() {
    count = errors = 0;
    first = last = null;
    list.replaceChildren();
    list.hidden = true;
    waiting.hidden = false;
    refresh();
  },
  error(message) {
    notice.hidden = message === null;
    notice.textContent = message ?? "";
  },
});

// Who scrolls up or opens an event wants to read: the page stays where it is, until it is scrolled to its end again.
let lastScroll = 0;
document.addEventListener("scroll", () => {
  const atEnd = window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 40;
  following = atEnd ? following || growing : following && window.scrollY >= lastScroll;
  lastScroll = window.scrollY;
  refresh(); // rows that come into view may turn out to be taller than was assumed
});
window.addEventListener("resize", refresh);
list.addEventListener(
  "toggle",
  (event) => {
    if (event.target.open) following = false;
    refresh();
  },
  true,
);
follow.addEventListener("click", () => {
  following = true;
  refresh();
});
