// All that is known of the selected row: its facts, and the details of each of its events.

import { idText } from "../client/spans.js";
import { ApprovalCard } from "./approval.js";
import { DecisionForm, canBeDecided } from "./decision_form.js";
import { button, element, icon, setIcon, setText } from "./elements.js";
import { lazily } from "./content/messages.js";
import { factsOf, sections } from "./content/sections.js";
import {
  counted,
  formatClock,
  formatDate,
  formatDuration,
  formatMoment,
  formatName,
  formatOffset,
  oneLine,
  parseTime,
  zoneAt,
} from "./format.js";
import { copy, copyButton, jsonTree } from "./json_tree.js";
import { copyMenu } from "./menus.js";
import { PanelWidth } from "./panel_width.js";
import { isOver, label, outcome } from "./summary.js";

/** @typedef {import("./row.js").Row} Row */
/** @typedef {import("./row_view.js").Scene} Scene */

/** Of no use to who reads, and told below. */
const IDS = ["call_id", "parent_call_id", "approval_id"];

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
  width = new PanelWidth();
  #wrap = button("wrap", "Wrap lines", () => this.wrap(), { shown: false, classes: "quiet wrap", key: "w" });
  #waiting = element("p.waiting", { hidden: true });
  #shown = "";
  /** @type {Row | null} */
  #row = null;
  /** What its reader has opened, by its title: it stays open when the row changes. */
  #opened = new Set();

  /**
   * @param {Scene} scene
   * @param {() => void} close
   * @param {(step: number) => void} move to the row before or behind
   * @param {(sequence: number) => string} linkTo
   * @param {import("./decision_form.js").Decide} decide
   * @param {import("./decision_form.js").Read} readApproval
   * @param {import("./content/messages.js").Reader} reader
   */
  constructor(scene, close, move, linkTo, decide, readApproval, reader) {
    this.scene = scene;
    this.reader = reader;
    this.#decision = new DecisionForm(decide, readApproval);
    this.linkTo = linkTo;
    const link = button("link", "Copy link", () => this.#row && copy(link, linkTo(this.#row.first.sequence)), {
      shown: false,
      classes: "quiet",
    });
    this.element = element(
      "section.panel",
      { "aria-labelledby": "details-title", tabIndex: -1, hidden: true },
      this.width.handle,
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
          this.#wrap,
          copyMenu(() => this.#row),
          link,
          this.width.maximise,
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
    this.#wrap.setAttribute("aria-pressed", "true");
    this.width.attach(this.element);
    this.#card.element.removeAttribute("role");
    this.#search.addEventListener("input", () => this.#fill());
    const content = /** @type {HTMLElement} */ (this.#sections.parentElement);
    new ResizeObserver(() => this.element.style.setProperty("--free-height", `${content.clientHeight}px`)).observe(
      content,
    );
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
    if (isOther) this.#opened.clear();
    const hasEnded = isOver(row, this.scene);
    const { status, text } = outcome(row, hasEnded);
    const isWhole = this.element.classList.contains("whole") ? " whole" : "";
    this.element.className = `panel kind-${row.kind} ${status}${isWhole}`;
    setIcon(this.#icon, row.kind);
    setIcon(this.#statusIcon, status);
    setText(this.#statusText, text);
    setText(this.#title, label(row));
    this.#card.show(row.kind === "approval" ? row : null, hasEnded);
    const isOpen = !hasEnded && canBeDecided(row);
    // Who has decided by the keyboard stays where he is, and hears what came of it.
    const hadFocus = this.#decision.element.matches(":focus-within");
    this.#status.role = row.kind === "approval" ? "status" : null;
    this.#decision.show(this.scene.canDecide && isOpen ? idText(row.first.details.approval_id) : null);
    setText(this.#waiting, `${this.scene.refusal}.`);
    this.#waiting.hidden = this.scene.canDecide || !isOpen;
    this.#describe(row);
    this.#fill();
    const content = /** @type {HTMLElement} */ (this.#sections.parentElement);
    if (isOther) content.scrollTop = 0;
    if (hadFocus && this.#decision.element.hidden) content.focus({ preventScroll: true });
  }

  /** Has the lines of texts end where the panel does, or where they do. */
  wrap() {
    this.#wrap.setAttribute("aria-pressed", String(this.#wrap.getAttribute("aria-pressed") === "false"));
  }

  /**
   * To the button that decides, as soon as it is known what is asked.
   *
   * @param {Row} row that is shown, or will be
   * @param {"approve" | "reject"} what
   */
  focusDecision(row, what) {
    const approvalId = idText(row.first.details.approval_id);
    if (approvalId !== null) this.#decision.focusSoon(approvalId, what);
  }

  /** @param {Row} row */
  #describe(row) {
    const facts = factsOf(row);
    if (row.duration !== null) facts.push(["Duration", formatDuration(row.duration)]);
    facts.push(["After", `${formatOffset(row.start - this.scene.origin)} s`]);
    facts.push(["Started", `${formatDate(row.start)}, ${formatClock(row.start)} ${zoneAt(row.start)}`]);
    const numbers = row.events.map(({ sequence }) => element("span.sequence", {}, `#${sequence}`));
    this.#facts.replaceChildren(
      ...facts.map(([name, value]) =>
        element("div", {}, element("dt", {}, name), element("dd", { title: value }, value)),
      ),
      element("div", {}, element("dt", {}, numbers.length === 1 ? "Event" : "Events"), element("dd", {}, ...numbers)),
    );
  }

  #fill() {
    const word = this.#search.value.trim().toLowerCase();
    const row = this.#row;
    if (row === null) return;
    if (word === "") {
      setText(this.#found, "");
      this.#sections.replaceChildren(...this.#formatted(row), this.#raw(row));
      return;
    }
    const found = row.events.map((event) => this.#event(event, word));
    const conversation = this.#conversation(row, word);
    if (conversation !== null) found.push(conversation);
    const matches = found.reduce((sum, { matches }) => sum + matches, 0);
    this.#sections.replaceChildren(...found.map(({ element }) => element));
    setText(this.#found, counted(matches, "match").replace("matchs", "matches"));
  }

  /** @param {Row} row */
  #messages(row) {
    return row.kind === "llm" && row.callId !== null ? this.scene.conversations.messages(row.callId) : [];
  }

  /** @param {Row} row */
  #formatted(row) {
    return sections(row, this.#messages(row), this.reader).map(({ title, kind, copied, content }) => {
      content.forEach((node) => this.#keepOpen(node));
      const head = title === "" ? null : element("h3", {}, title, copyButton(copied, title));
      return element(`section.part.of-${kind}`, {}, head, ...content);
    });
  }

  /** All that is known, as it came. @param {Row} row */
  #raw(row) {
    const folded = lazily(row.events.length === 1 ? "The event, as it came" : "All events, as they came", () => {
      const ids = IDS.filter((name) => row.details[name] !== undefined).flatMap((name) => [
        element("dt", {}, formatName(name).replace(" id", " ID")),
        element("dd", {}, oneLine(row.details[name])),
      ]);
      return [element("dl.facts.ids", {}, ...ids), ...row.events.map((event) => this.#event(event, "").element)];
    });
    this.#keepOpen(folded);
    return folded;
  }

  /** @param {Node} node */
  #keepOpen(node) {
    if (!(node instanceof HTMLDetailsElement)) return;
    const title = node.textContent;
    node.open = this.#opened.has(title);
    node.addEventListener("toggle", () => (node.open ? this.#opened.add(title) : this.#opened.delete(title)));
  }

  /**
   * @param {import("../client/trace_stream.d.ts").TraceEvent} event
   * @param {string} word
   */
  #event(event, word) {
    const tree = jsonTree(event.details, word);
    const isEmpty = Object.keys(event.details).length === 0;
    const head = element(
      "h3",
      {},
      element("span.sequence", {}, String(event.sequence)),
      formatName(event.event),
      element(
        "time",
        { dateTime: event.timestamp, title: formatMoment(parseTime(event.timestamp)) },
        formatClock(parseTime(event.timestamp)),
      ),
      copyButton(event, `event ${event.sequence}`),
    );
    const content = isEmpty ? element("p.none", {}, "No details.") : tree.element;
    return { matches: tree.matches, element: element("section.event", {}, head, content) };
  }

  /**
   * All that a model was sent, where its call holds but what is new.
   *
   * @param {Row} row
   * @param {string} word
   */
  #conversation(row, word) {
    if (row.details.history_call_id === undefined) return null;
    const messages = this.#messages(row);
    if (messages.length === 0) return null;
    const tree = jsonTree(Object.fromEntries(messages.map((message, index) => [index + 1, message])), word);
    const head = element("h3", {}, "All messages", copyButton(messages, "all messages"));
    return { matches: tree.matches, element: element("section.event.conversation", {}, head, tree.element) };
  }
}
