// Shows one trace as it happens: replays it from the start, then follows; comes back after any disconnect.

const list = document.querySelector("#events");
const connection = document.querySelector("#connection");
const url = new URL(`/ws/traces/${list.dataset.traceId}`, location.href.replace(/^http/, "ws"));
const MAX_DELAY_MS = 10_000;

let since = 0;
let epoch = null;
let attempts = 0;
let ended = false;

function show(text, kind) {
  connection.textContent = text;
  connection.className = `state ${kind}`;
}

function element(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

function summarise(details) {
  return Object.entries(details)
    .filter(([key]) => key !== "call_id" && key !== "parent_call_id")
    .map(([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" · ");
}

function detailsOf(event) {
  const details = element("div", "details", "");
  const summary = summarise(event.details);
  if (summary.length <= 140) {
    details.append(element("span", "summary", summary));
  } else {
    const folded = document.createElement("details");
    folded.append(
      element("summary", "summary", `${summary.slice(0, 140)}…`),
      element("pre", "", JSON.stringify(event.details, null, 2)),
    );
    details.append(folded);
  }
  return details;
}

function row(event) {
  const item = document.createElement("li");
  item.dataset.sequence = event.sequence;
  item.append(
    element("span", "sequence", event.sequence),
    element("time", "time", event.timestamp.slice(11, 23)),
    element("span", "event", event.event.replaceAll("_", " ")),
    element("span", `status ${event.status}`, event.status),
    detailsOf(event),
  );
  return item;
}

function append(nodes) {
  const following = window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;
  document.querySelector("#waiting").hidden = true;
  list.append(...nodes);
  if (following) window.scrollTo({ top: document.body.scrollHeight });
}

function receive(socket, frame) {
  switch (frame.type) {
    case "connected":
      attempts = 0;
      epoch ??= frame.epoch;
      show("live", "running");
      break;
    case "events":
      since = frame.events.at(-1).sequence;
      append(frame.events.map(row));
      socket.send(JSON.stringify({ type: "ack", sequence: since }));
      break;
    case "gap":
      if (frame.reason === "epoch") {
        since = 0;
        epoch = frame.epoch;
        list.replaceChildren();
      } else {
        since = frame.to;
        append([element("li", "gap", `Events ${frame.from} to ${frame.to} are no longer stored.`)]);
      }
      break;
    case "ended":
      ended = true;
      show(`ended: ${frame.state}`, frame.state);
      break;
    case "error":
      show(frame.message, "error");
  }
}

function connect() {
  url.searchParams.set("since", since);
  if (epoch) url.searchParams.set("epoch", epoch);
  const socket = new WebSocket(url, ["trace-stream.v1"]);
  socket.onmessage = (message) => receive(socket, JSON.parse(message.data));
  socket.onclose = ({ code }) => {
    if (ended || (code >= 4400 && code < 4500)) return;
    show("reconnecting", "warning");
    setTimeout(connect, Math.random() * Math.min(MAX_DELAY_MS, 500 * 2 ** attempts++));
  };
}

connect();
