// The head of the viewer: how the connection and the run are, and what of it is looked for.

import { button, element, icon, setIcon, setText } from "./elements.js";
import { counted, formatDuration, formatElapsed, formatName, formatNumber } from "./format.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./filter.js").Filter} Filter */

const STATUSES = ["running", "pending", "success", "warning", "error"];
const SEARCH_DELAY_MS = 120;
/** Per cent. */
const NEARLY_SPENT = 80;

export class Toolbar {
  #stateIcon = icon("pending");
  #stateText = element("span");
  #state = element("span.state", { role: "status" }, this.#stateIcon, this.#stateText);
  #facts = ["events", "calls", "models", "tokens", "errors", "time"].map((name) => element(`span.fact.fact-${name}`));
  #fill = element("span");
  #meter = element(
    "span.meter",
    { role: "meter", "aria-label": "Budget used", "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "0" },
    this.#fill,
  );
  #spent = element("span.spent");
  #budget = element("span.budget", { hidden: true }, icon("budget"), this.#meter, this.#spent);
  #search = element("input", {
    type: "search",
    placeholder: "Search events",
    "aria-label": "Search events",
    "aria-keyshortcuts": "/",
  });
  #found = element("span.found", { role: "status" });
  #statuses = new Map(STATUSES.map((status) => [status, this.#chip(status)]));
  #events = element("div.choices");
  #eventsCount = element("span.count", { hidden: true });
  #menu = element(
    "details.menu",
    {},
    element("summary", {}, icon("filter"), element("span", {}, "Events"), this.#eventsCount),
    element("div.popup", { role: "group", "aria-label": "Events" }, this.#events),
  );
  #known = "";

  /**
   * @param {Filter} filter changed here
   * @param {{filter: () => void, error: () => void, follow: () => void, help: () => void, reset: () => void}} told
   * @param {HTMLElement} stop
   */
  constructor(filter, told, stop) {
    this.filter = filter;
    this.told = told;
    this.follow = button("down", "Follow", told.follow, { classes: "toggle follow", key: "f" });
    this.error = button("jump", "Next error", told.error, { classes: "next-error", key: "e" });
    this.zoom = button("reset", "Whole trace", told.reset, { classes: "zoom", key: "0" });
    const help = button("keyboard", "Keyboard", told.help, { shown: false, classes: "quiet", key: "?" });
    this.element = element(
      "header.toolbar",
      {},
      element("div.line.facts-line", {}, this.#state, ...this.#facts, this.#budget),
      element(
        "div.line.search-line",
        {},
        element("label.search", {}, icon("search"), this.#search, this.#found, element("kbd", {}, "/")),
        element(
          "div.filters",
          {},
          element("span.chips", { role: "group", "aria-label": "Status" }, ...this.#statuses.values()),
          this.#menu,
          element("span.tools", {}, this.zoom, stop, this.error, this.follow, help),
        ),
      ),
    );
    let timer = 0;
    this.#search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#apply(), SEARCH_DELAY_MS);
    });
    this.#menu.addEventListener("focusout", (/** @type {FocusEvent} */ event) => {
      if (event.relatedTarget !== null && !this.#menu.contains(event.relatedTarget)) this.#menu.open = false;
    });
    this.#menu.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || !this.#menu.open) return;
      event.stopPropagation();
      this.#menu.open = false;
      this.#menu.firstElementChild.focus();
    });
  }

  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }

  /** Close what hangs open, when something else was pressed. */
  closeMenu() {
    this.#menu.open = false;
  }

  /** All is shown again. */
  clear() {
    this.filter.clear();
    this.#search.value = "";
    for (const box of this.#events.querySelectorAll("input")) box.checked = false;
    this.told.filter();
  }

  /**
   * @param {Run} run
   * @param {{icon: string, kind: string, text: string}} state of the connection, or of the trace that has ended
   * @param {{shown: number, elapsed: number, isGrowing: boolean}} view
   */
  draw(run, state, { shown, elapsed, isGrowing }) {
    setText(this.#stateText, state.text);
    setIcon(this.#stateIcon, state.icon);
    this.#state.className = `state ${state.kind}`;
    const time = run.start === 0 ? "" : isGrowing ? formatElapsed(elapsed) : formatDuration(elapsed);
    const texts = [
      counted(run.events.length, "event"),
      run.calls > 0 ? counted(run.calls, "call") : "",
      run.modelCalls > 0 ? counted(run.modelCalls, "model call") : "",
      run.tokens > 0 ? counted(run.tokens, "token") : "",
      run.errors > 0 ? counted(run.errors, "error") : "",
      time,
    ];
    texts.forEach((text, index) => setText(this.#facts[index], run.events.length > 0 ? text : ""));
    this.#drawBudget(run);
    setText(this.#found, this.filter.isActive ? `${formatNumber(shown)} of ${formatNumber(run.rows.length)}` : "");
    for (const [status, chip] of this.#statuses) this.#drawChip(run, status, chip);
    this.#listEvents(run);
    this.error.hidden = run.errors === 0;
  }

  /** @param {Run} run */
  #drawBudget(run) {
    const budgets = [...run.budgets.values()];
    this.#budget.hidden = budgets.length === 0;
    if (budgets.length === 0) return;
    const most = budgets.reduce((a, b) => (b.utilization > a.utilization ? b : a));
    const percent = Math.round(Math.min(Math.max(most.utilization, 0), 1) * 100);
    this.#meter.setAttribute("aria-valuenow", String(percent));
    this.#meter.className = `meter ${percent === 100 ? "error" : percent >= NEARLY_SPENT ? "warning" : "success"}`;
    this.#fill.style.width = `${percent}%`;
    const { used, limit } = most;
    const share = `${formatNumber(Math.round(most.utilization * 100))} %`;
    const isCounted = used !== null && limit !== null;
    setText(this.#spent, `Budget ${isCounted ? `${formatNumber(used)} of ${formatNumber(limit)}` : share}`);
    this.#budget.title = budgets
      .map(({ label, utilization }) =>
        `Budget ${label}: ${formatNumber(Math.round(utilization * 100))} %`.replace(" :", ":"),
      )
      .join("\n");
  }

  /** @param {string} status */
  #chip(status) {
    const node = element("button.chip", { type: "button", "aria-pressed": "false" }, icon(status));
    node.classList.add(status);
    node.append(element("span", {}, formatName(status)));
    node.title = `Only ${status}`;
    node.addEventListener("click", () => {
      toggle(this.filter.statuses, status);
      this.told.filter();
    });
    return node;
  }

  /**
   * @param {Run} run
   * @param {string} status
   * @param {any} chip
   */
  #drawChip(run, status, chip) {
    const isPressed = this.filter.statuses.has(status);
    chip.hidden = !isPressed && !run.rowsByStatus.get(status);
    chip.setAttribute("aria-pressed", String(isPressed));
  }

  /** @param {Run} run */
  #listEvents(run) {
    setText(this.#eventsCount, String(this.filter.events.size));
    this.#eventsCount.hidden = this.filter.events.size === 0;
    const counts = [...run.countsByEvent].sort(([a], [b]) => (a < b ? -1 : 1));
    const known = counts.map(([name]) => name).join();
    if (known !== this.#known) {
      this.#known = known;
      this.#events.replaceChildren(...counts.map(([name]) => this.#choice(name)));
    }
    if (!this.#menu.open) return;
    counts.forEach(([, count], index) => setText(this.#events.children[index].lastChild, formatNumber(count)));
  }

  /** @param {string} name */
  #choice(name) {
    const box = element("input", { type: "checkbox", checked: this.filter.events.has(name) });
    box.addEventListener("change", () => {
      toggle(this.filter.events, name);
      this.told.filter();
    });
    return element("label", {}, box, element("span", {}, formatName(name)), element("span.count"));
  }

  #apply() {
    this.filter.text = this.#search.value;
    this.told.filter();
  }
}

/**
 * @param {Set<string>} set
 * @param {string} value
 */
function toggle(set, value) {
  if (!set.delete(value)) set.add(value);
}
