// Keeps the list of traces current, in place: what has the focus keeps it.

const PERIOD_MS = 2000;
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];
const RELATIVE = new Intl.RelativeTimeFormat("en", { style: "narrow" });

const body = document.querySelector("#traces tbody");
const freshness = document.querySelector("#freshness");

function ago(date) {
  const seconds = Math.max(Math.round((Date.now() - date) / 1000), 0);
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  return RELATIVE.format(-Math.floor(seconds / size), unit);
}

function showAges(rows) {
  for (const time of rows.querySelectorAll("time")) time.textContent = ago(new Date(time.dateTime));
}

function merge(fresh) {
  const known = new Map(Array.from(body.rows, (row) => [row.dataset.traceId, row]));
  Array.from(fresh.rows).forEach((row, index) => {
    const old = known.get(row.dataset.traceId);
    known.delete(row.dataset.traceId);
    if (old === undefined) {
      body.insertBefore(document.adoptNode(row), body.rows[index] ?? null);
      return;
    }
    if (body.rows[index] !== old) body.insertBefore(old, body.rows[index]);
    Array.from(row.cells).forEach((cell, column) => {
      const stale = old.cells[column];
      if (!stale.isEqualNode(cell)) stale.replaceWith(document.adoptNode(cell));
    });
  });
  for (const row of known.values()) row.remove();
}

async function refresh() {
  const response = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`The server answers ${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.querySelector("#traces tbody");
  if (fresh === null) throw new Error("Not the list of traces");
  showAges(fresh);
  merge(fresh);
}

function say(text, kind) {
  if (freshness.textContent !== text) freshness.textContent = text;
  freshness.className = `state ${kind}`;
}

async function keepCurrent() {
  for (;;) {
    await new Promise((done) => setTimeout(done, PERIOD_MS));
    if (document.hidden) continue;
    try {
      await refresh();
      say("Live", "running");
    } catch {
      say("The server does not answer, trying again", "warning");
      showAges(body);
    }
  }
}

showAges(body);
keepCurrent();
