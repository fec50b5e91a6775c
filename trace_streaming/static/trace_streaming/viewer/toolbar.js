// The head of the viewer: how the connection and the run are, and what of it is looked for.

import { LONGER } from "./filter.js";
import { button, closeByItself, element, icon, setIcon, setText } from "./elements.js";
import { counted, cut, formatDuration, formatElapsed, formatName, formatNumber } from "./format.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./filter.js").Filter} Filter */
/**
 * What may be chosen of one kind: its title, what is chosen, all names, how often each is there, and how it is written.
 *
 * @typedef {[string, Set<string>, string[], ((name: string) => number | undefined)?, ((name: string) => string)?]} Group
 */

const STATUSES = ["running", "pending", "success", "warning", "error"];
const FACTS = ["events", "calls", "models", "tokens", "cost", "errors", "time"];
const SEARCH_DELAY_MS = 120;
/** Names of one kind that are offered. */
const MOST_NAMES = 50;
/** @type {Record<string, string>} */
const KINDS = { llm: "Model call", tool: "Tool call" };
/** Per cent. */
const NEARLY_SPENT = 80;

export class Toolbar {
  #stateIcon = icon("pending");
  #stateText = element("span");
  #state = element("span.state", { role: "status" }, this.#stateIcon, this.#stateText);
  #facts = FACTS.map((name) => element(name === "errors" ? "button.fact.fact-errors" : `span.fact.fact-${name}`));
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
  #choices = element("div.choices");
  #stepsBox = element("input", { type: "checkbox", checked: true });
  #steps = element("label.steps", { hidden: true }, this.#stepsBox, element("span", {}, "Fold steps"));
  #eventsCount = element("span.count", { hidden: true });
  #menu = element(
    "details.menu",
    {},
    element("summary", {}, icon("filter"), element("span", {}, "Filter"), this.#eventsCount),
    element("div.popup", {}, this.#steps, this.#choices),
  );
  #known = "";
  /** @type {{count: (name: string) => number | undefined, name: string, node: HTMLElement}[]} */
  #counted = [];

  /**
   * @param {Filter} filter changed here
   * @param {{filter: () => void, error: () => void, follow: () => void, help: () => void, reset: () => void,
   *   waits: () => void, changed: () => void}} told
   * @param {HTMLElement} stop
   * @param {HTMLElement} exports
   */
  constructor(filter, told, stop, exports) {
    this.filter = filter;
    this.told = told;
    this.follow = button("down", "Follow", told.follow, { classes: "toggle follow", key: "f" });
    this.error = button("jump", "Next error", told.error, { classes: "next-error", key: "e" });
    this.waits = button("pause", "Short waits", told.waits, { classes: "toggle waits" });
    this.waits.title = "Give waits for a human a sliver of the timeline";
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
          element("span.tools", {}, this.waits, this.zoom, stop, this.error, this.follow, exports, help),
        ),
      ),
    );
    const errors = this.#facts[FACTS.indexOf("errors")];
    this.#stepsBox.addEventListener("change", () => {
      filter.foldSteps(this.#stepsBox.checked);
      told.filter();
    });
    this.#menu.addEventListener("toggle", () => this.#menu.open && told.changed());
    errors.type = "button";
    errors.title = "Go to the next error (e)";
    errors.addEventListener("click", told.error);
    let timer = 0;
    this.#search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#apply(), SEARCH_DELAY_MS);
    });
    closeByItself(this.#menu);
  }

  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }

  /** All is shown again. */
  clear() {
    this.filter.clear();
    this.#search.value = "";
    for (const box of this.#choices.querySelectorAll("input")) box.checked = false;
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
      run.cost !== null ? `$${Number(run.cost.toPrecision(3))}` : "",
      run.errors > 0 ? counted(run.errors, "error") : "",
      time,
    ];
    texts.forEach((text, index) => setText(this.#facts[index], run.events.length > 0 ? text : ""));
    this.#drawBudget(run);
    setText(this.#found, this.filter.isActive ? `${formatNumber(shown)} of ${formatNumber(run.rows.length)}` : "");
    for (const [status, chip] of this.#statuses) this.#drawChip(run, status, chip);
    this.#list(run);
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

  /** What may be chosen, by what the run has. @param {Run} run */
  #list(run) {
    const { choices } = this.filter;
    setText(this.#eventsCount, String(choices));
    this.#eventsCount.hidden = choices === 0;
    this.#steps.hidden = !run.rowsByKind.get("step");
    if (!this.#menu.open) return;
    const names = (/** @type {Iterable<string>} */ of) => [...of].sort((one, other) => (one < other ? -1 : 1));
    const kinds = names(run.rowsByKind.keys()).filter((kind) => run.rowsByKind.get(kind) && kind !== "event");
    const groups = /** @type {Group[]} */ ([
      ["Kind", this.filter.kinds, kinds, (kind) => run.rowsByKind.get(kind), (kind) => KINDS[kind] ?? formatName(kind)],
      ["Tool", this.filter.tools, names(run.tools).slice(0, MOST_NAMES)],
      ["Model", this.filter.models, names(run.models).slice(0, MOST_NAMES)],
      ["Longer than", this.filter.longer, run.calls + run.modelCalls > 0 ? [...LONGER.keys()] : []],
      ["Event", this.filter.events, names(run.countsByEvent.keys()), (name) => run.countsByEvent.get(name), formatName],
    ]);
    const known = JSON.stringify(groups.map(([, , names]) => names));
    if (known !== this.#known) {
      this.#known = known;
      this.#counted = [];
      this.#choices.replaceChildren(
        ...groups.filter(([, , names]) => names.length > 0).map((group) => this.#group(group)),
      );
    }
    for (const { count, name, node } of this.#counted) setText(node, formatNumber(count(name) ?? 0));
  }

  /** @param {Group} group */
  #group([title, chosen, names, count, write = (name) => cut(name, 60)]) {
    const boxes = names.map((name) => {
      const box = element("input", { type: "checkbox", checked: chosen.has(name) });
      box.addEventListener("change", () => {
        toggle(chosen, name);
        this.told.filter();
      });
      const node = element("span.count");
      if (count !== undefined) this.#counted.push({ count, name, node });
      return element("label", {}, box, element("span", {}, write(name)), node);
    });
    return element("fieldset", {}, element("legend", {}, title), ...boxes);
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
