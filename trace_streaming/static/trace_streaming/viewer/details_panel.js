// All that is known of the selected row: its facts, and the details of each of its events.

import { ApprovalCard } from "./approval.js";
import { DecisionForm, canBeDecided } from "./decision_form.js";
import { button, element, icon, setIcon, setText } from "./elements.js";
import { counted, formatClock, formatDate, formatDuration, formatName, formatOffset, parseTime } from "./format.js";
import { copy, copyButton, jsonTree } from "./json_tree.js";
import { isOver, label, outcome } from "./summary.js";

/** @typedef {import("./row.js").Row} Row */
/** @typedef {import("./row_view.js").Scene} Scene */

/** What the facts say already. */
const FACTS = ["call_id", "parent_call_id", "approval_id"];

export class DetailsPanel {
  #icon = icon("event");
  #title = element("h2.title", { id: "details-title" });
  #statusIcon = icon("pending");
  #statusText = element("span");
  #status = element("span.status", {}, this.#statusIcon, this.#statusText);
  #facts = element("dl.facts");
  #search = element("input", { type: "search", placeholder: "Search details", "aria-label": "Search details" });
  #found = element("span.found", { role: "status" });
  #sections = element("div.sections");
  #card = new ApprovalCard();
  #decision;
  #waiting = element("p.waiting", { hidden: true }, "It waits for somebody who may decide it; you may not.");
  #shown = "";
  /** @type {Row | null} */
  #row = null;

  /**
   * @param {Scene} scene
   * @param {() => void} close
   * @param {(step: number) => void} move to the row before or behind
   * @param {(sequence: number) => string} linkTo
   * @param {import("./decision_form.js").Decide} decide
   * @param {import("./decision_form.js").Read} readApproval
   */
  constructor(scene, close, move, linkTo, decide, readApproval) {
    this.scene = scene;
    this.#decision = new DecisionForm(decide, readApproval);
    this.linkTo = linkTo;
    const link = button("link", "Copy link", () => this.#row && copy(link, linkTo(this.#row.first.sequence)), {
      shown: false,
      classes: "quiet",
    });
    this.element = element(
      "section.panel",
      { "aria-labelledby": "details-title", tabIndex: -1, hidden: true },
      element(
        "header",
        {},
        this.#icon,
        this.#title,
        this.#status,
        element(
          "span.tools",
          {},
          button("chevron", "Previous", () => move(-1), { shown: false, classes: "quiet up", key: "↑" }),
          button("chevron", "Next", () => move(1), { shown: false, classes: "quiet down", key: "↓" }),
          link,
          button("close", "Close details", close, { shown: false, classes: "quiet", key: "Esc" }),
        ),
      ),
      element(
        "div.content",
        { tabIndex: 0, role: "group", "aria-label": "Details" },
        this.#facts,
        element("div.approval-card", {}, this.#card.element, this.#decision.element, this.#waiting),
        element("label.search", {}, icon("search"), this.#search, this.#found),
        this.#sections,
      ),
    );
    this.#card.element.removeAttribute("role");
    this.#search.addEventListener("input", () => this.#fill());
  }

  /** @param {Row | null} row none closes the panel */
  show(row) {
    this.element.hidden = row === null;
    const key = row === null ? "" : `${row.index} ${row.version} ${this.scene.hasEnded}`;
    if (row !== null && row.kind === "approval") this.#card.tick(row, this.scene.now, this.scene.hasEnded);
    if (key === this.#shown) return;
    const isOther = row !== this.#row;
    this.#shown = key;
    this.#row = row;
    if (row === null) return;
    const hasEnded = isOver(row, this.scene);
    const { status, text } = outcome(row, hasEnded);
    this.element.className = `panel kind-${row.kind} ${status}`;
    setIcon(this.#icon, row.kind);
    setIcon(this.#statusIcon, status);
    setText(this.#statusText, text);
    setText(this.#title, label(row));
    this.#card.show(row.kind === "approval" ? row : null, hasEnded);
    const isOpen = !hasEnded && canBeDecided(row);
    this.#decision.show(this.scene.canDecide && isOpen ? row : null);
    this.#waiting.hidden = this.scene.canDecide || !isOpen;
    this.#describe(row);
    this.#fill();
    if (isOther) /** @type {Element} */ (this.#sections.parentElement).scrollTop = 0;
  }

  /** @param {Row} row */
  #describe(row) {
    const facts = /** @type {[string, string][]} */ ([
      ["Started", `${formatDate(row.start)}, ${formatClock(row.start)}`],
      ["After", `${formatOffset(row.start - this.scene.origin)} s`],
    ]);
    if (row.duration !== null) facts.push(["Duration", formatDuration(row.duration)]);
    for (const name of FACTS) {
      const value = row.details[name];
      if (value !== undefined) facts.push([formatName(name).replace(" id", " ID"), String(value)]);
    }
    this.#facts.replaceChildren(
      ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", { title: value }, value)]),
    );
  }

  /**
   * All that a model was sent, where its call holds but what is new.
   *
   * @param {string} word
   */
  #conversation(word) {
    const row = this.#row;
    if (row === null || row.kind !== "llm" || row.callId === null || row.details.history_call_id === undefined)
      return null;
    const messages = this.scene.conversations.messages(row.callId);
    const tree = jsonTree(Object.fromEntries(messages.map((message, index) => [index + 1, message])), word);
    const head = element("h3", {}, "All messages", copyButton(messages, "all messages"));
    return { matches: tree.matches, element: element("section.event.conversation", {}, head, tree.element) };
  }

  #fill() {
    const word = this.#search.value.trim().toLowerCase();
    let matches = 0;
    const sections = (this.#row?.events ?? []).map((event) => {
      const tree = jsonTree(event.details, word);
      matches += tree.matches;
      const isEmpty = Object.keys(event.details).length === 0;
      return element(
        "section.event",
        {},
        element(
          "h3",
          {},
          element("span.sequence", {}, `#${event.sequence}`),
          formatName(event.event),
          element("time", { dateTime: event.timestamp }, formatClock(parseTime(event.timestamp))),
          copyButton(event, `event ${event.sequence}`),
        ),
        isEmpty ? element("p.none", {}, "No details.") : tree.element,
      );
    });
    const conversation = this.#conversation(word);
    if (conversation !== null) {
      matches += conversation.matches;
      sections.push(conversation.element);
    }
    this.#sections.replaceChildren(...sections);
    setText(this.#found, word === "" ? "" : counted(matches, "match").replace("matchs", "matches"));
  }
}
