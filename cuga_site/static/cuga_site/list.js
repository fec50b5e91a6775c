// Keeps the list of traces current, in place: what has the focus keeps it.

const PERIOD_MS = 2000;
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];
const RELATIVE = new Intl.RelativeTimeFormat("en", { style: "narrow" });

const table = document.querySelector("#traces");
const body = table.tBodies[0];
const blank = document.querySelector("#row").content.firstElementChild;
const freshness = document.querySelector("#freshness");

function ago(date) {
  const seconds = Math.max(Math.round((Date.now() - date) / 1000), 0);
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  return RELATIVE.format(-Math.floor(seconds / size), unit);
}

function showAges() {
  for (const time of body.querySelectorAll("time")) setText(time, ago(new Date(time.dateTime)));
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function newRow(trace) {
  const row = blank.cloneNode(true);
  const link = row.querySelector("a");
  row.dataset.traceId = link.textContent = trace.trace_id;
  link.href = table.dataset.pages + encodeURIComponent(trace.trace_id);
  row.querySelector("time").dateTime = trace.started_at;
  return row;
}

function draw(row, trace) {
  const state = row.querySelector(".state");
  const errors = row.querySelector(".errors");
  setText(state, trace.state);
  state.className = `state ${trace.state}`;
  setText(row.querySelector(".events"), trace.event_count.toLocaleString("en"));
  setText(errors, trace.error_count.toLocaleString("en"));
  errors.classList.toggle("error", trace.error_count > 0);
  errors.classList.toggle("muted", trace.error_count === 0);
  setText(row.querySelector(".duration"), `${(trace.duration_ms / 1000).toFixed(1)} s`);
}

function merge(traces) {
  const known = new Map(Array.from(body.rows, (row) => [row.dataset.traceId, row]));
  traces.forEach((trace, index) => {
    const row = known.get(trace.trace_id) ?? newRow(trace);
    known.delete(trace.trace_id);
    draw(row, trace);
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] ?? null);
  });
  for (const row of known.values()) row.remove();
  document.querySelector("#empty").hidden = traces.length > 0;
}

async function refresh() {
  const response = await fetch(table.dataset.source, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
  if (response.status === 401 || response.status === 403) return say("Log in to see traces", "warning");
  if (!response.ok) throw new Error(`The server answers ${response.status}`);
  merge((await response.json()).results);
  say("Live", "running");
}

function say(text, kind) {
  setText(freshness, text);
  freshness.className = `state ${kind}`;
}

async function keepCurrent() {
  for (;;) {
    if (!document.hidden) {
      await refresh().catch(() => say("The server does not answer, trying again", "warning"));
      showAges();
    }
    await new Promise((done) => setTimeout(done, PERIOD_MS));
  }
}

keepCurrent();
