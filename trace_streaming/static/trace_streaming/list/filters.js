// What the list shows, as the query of the page's address has it: whoever shares the address shares it.

import { element, icon } from "../viewer/elements.js";

const STATES = ["running", "success", "error", "incomplete"];
/** What other pages lead here with, and is taken back by a click. */
const CHIPS = ["name", "conversation", "tag", "owner", "event", "tool", "model"];
/** All that the REST API takes. */
const KNOWN = new Set([
  ...[
    "state",
    "text",
    "metadata",
    "cost_min",
    "cost_max",
    "tokens_min",
    "tokens_max",
    "started_after",
    "started_before",
  ],
  ...CHIPS,
]);
const PAUSE_MS = 250;

export class Filters {
  #search = element("input", { type: "search", placeholder: "Search names, conversations, tags, metadata" });
  #state = element("select", { "aria-label": "State" }, element("option", { value: "" }, "All states"));
  #chips = element("span.chips");
  #timer = 0;

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.query = new URLSearchParams([...new URLSearchParams(location.search)].filter(([name]) => KNOWN.has(name)));
    this.#search.setAttribute("aria-label", "Search traces");
    this.#search.value = this.query.get("text") ?? "";
    this.#state.append(...STATES.map((state) => element("option", { value: state }, capital(state))));
    this.#state.value = this.query.get("state") ?? "";
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.set("text", this.#search.value.trim()), PAUSE_MS);
    });
    this.#state.addEventListener("change", () => this.set("state", this.#state.value));
    this.element = element("div.filters", {}, element("label.search", {}, icon("search"), this.#search), this.#state);
    this.element.append(this.#chips);
    this.#draw();
  }

  get isActive() {
    return this.query.size > 0;
  }

  /**
   * @param {string} name
   * @param {string} value empty: any
   */
  set(name, value) {
    if ((this.query.get(name) ?? "") === value) return;
    if (value === "") this.query.delete(name);
    else this.query.set(name, value);
    this.#tell();
  }

  clear() {
    this.query = new URLSearchParams();
    this.#search.value = this.#state.value = "";
    this.#tell();
  }

  focus() {
    this.#search.focus();
  }

  #tell() {
    const query = String(this.query);
    history.replaceState(history.state, "", location.pathname + (query && `?${query}`) + location.hash);
    this.#draw();
    this.changed();
  }

  #draw() {
    const chips = CHIPS.filter((name) => this.query.has(name)).map((name) => {
      const chip = element(
        "button.chip",
        { type: "button" },
        `${capital(name)}: ${this.query.get(name)}`,
        icon("close"),
      );
      chip.setAttribute("aria-label", `Show others than ${name} ${this.query.get(name)} too`);
      chip.addEventListener("click", () => this.set(name, ""));
      return chip;
    });
    this.#chips.replaceChildren(...chips);
  }
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
