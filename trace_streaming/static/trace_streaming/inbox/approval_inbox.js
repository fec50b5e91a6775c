// <approval-inbox>: what agents ask, the most urgent first, decided where it stands. docs/approvals.md says how it is used.

import { Polling, Refused, getJson } from "../dashboard/polling.js";
import { button, element, loadStyles, setText } from "../viewer/elements.js";
import { counted, formatDate, formatName } from "../viewer/format.js";
import { Item } from "./item.js";
import { Server } from "./server.js";

/** @typedef {import("./item.js").Open} Open */

const STYLES = ["../viewer/decision_form.css", "./approval_inbox.css"].map(
  (name) => new URL(name, import.meta.url).href,
);
const PERIOD_MS = 2000;
const DECIDED_MS = 10_000;
const TICK_MS = 1000;
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
/** @type {Record<string, string>} */
const DECISIONS = {
  approved: "success",
  edited: "success",
  responded: "success",
  rejected: "error",
  timeout: "warning",
};

export class ApprovalInbox extends HTMLElement {
  #server = new Server(this);
  /** @type {Map<string, Item>} by approval id */
  #items = new Map();
  /** How far the server's clock is ahead of this one, in milliseconds. */
  #ahead = 0;
  #timer = 0;
  #state = element("p.freshness", { role: "status" });
  #notify = button("approval", "Notify me on this computer", () => this.#askToNotify());
  #mine = element("ul", { "aria-label": "Waits for you" });
  #others = element("ul", { "aria-label": "Waits for others" });
  #othersPart = element("section", { hidden: true }, element("h2", {}, "Waits for others"), this.#others);
  #empty = element(
    "div.empty",
    { hidden: true, tabIndex: -1 },
    element("b", {}, "Nothing waits for you."),
    element("p", {}, "What agents ask appears here by itself."),
  );
  #more = element("p.more", { hidden: true }, "These are the most urgent; others appear when they are decided.");
  #chosenText = element("span", { role: "status" });
  #chosen = element(
    "div.chosen",
    { hidden: true },
    this.#chosenText,
    button("success", "Approve them", () => this.#decideChosen("approved"), { classes: "approve" }),
    button("error", "Reject them", () => this.#decideChosen("rejected")),
  );
  #problem = element("p.problem", { role: "alert", hidden: true });
  #decided = element("tbody");
  #decidedPart = element(
    "section",
    { hidden: true },
    element("h2", {}, "Decided"),
    element(
      "table",
      { "aria-label": "Decided" },
      element(
        "thead",
        {},
        element("tr", {}, ...["What", "Decision", "By", "When"].map((name) => element("th", { scope: "col" }, name))),
      ),
      this.#decided,
    ),
  );
  #frame = element(
    "div.inbox",
    { hidden: true },
    element("div.head", {}, this.#state, this.#notify),
    this.#problem,
    this.#empty,
    this.#mine,
    this.#chosen,
    this.#othersPart,
    this.#more,
    this.#decidedPart,
  );
  #polls = [
    new Polling(
      PERIOD_MS,
      (signal) => getJson(this.#server.listUrl("open"), signal),
      (answer) => this.#show(answer),
      (error) => this.#fail(error),
    ),
    new Polling(
      DECIDED_MS,
      (signal) => getJson(this.#server.listUrl("decided"), signal),
      ({ approvals }) => this.#showDecided(approvals),
      () => {}, // the other question says what is wrong
    ),
  ];

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    loadStyles(root, STYLES, this.nonce, () => (this.#frame.hidden = false));
    root.append(this.#frame);
    this.#notify.hidden = !("Notification" in globalThis) || Notification.permission !== "default";
  }

  connectedCallback() {
    this.#say("wait", "Loading");
    for (const poll of this.#polls) poll.start();
    this.#timer = setInterval(() => !document.hidden && this.#tick(), TICK_MS);
  }

  disconnectedCallback() {
    for (const poll of this.#polls) poll.stop();
    clearInterval(this.#timer);
  }

  /** @param {{now: string, approvals: Open[], more: boolean}} answer */
  #show({ now, approvals, more }) {
    this.#more.hidden = !more;
    this.#ahead = Date.parse(now) - Date.now();
    this.#say("live", "Live");
    const gone = new Map(this.#items);
    for (const asked of approvals) {
      gone.delete(asked.approval_id);
      if (this.#items.has(asked.approval_id)) continue;
      const told = { decided: () => this.#look(), chosen: () => this.#drawChosen() };
      this.#items.set(asked.approval_id, new Item(asked, this.#server, told));
    }
    /** Where the focus was of who has decided by the keyboard. */
    let left = -1;
    for (const [id, { element }] of gone) {
      if (element.matches(":focus-within")) left = [...this.#mine.children].indexOf(element);
      element.remove();
      this.#items.delete(id);
    }
    const shown = approvals.map(({ approval_id }) => /** @type {Item} */ (this.#items.get(approval_id)));
    place(
      this.#mine,
      shown.filter(({ asked }) => asked.can_decide),
    );
    place(
      this.#others,
      shown.filter(({ asked }) => !asked.can_decide),
    );
    this.#empty.hidden = this.#mine.childElementCount > 0;
    this.#mine.hidden = !this.#empty.hidden;
    this.#othersPart.hidden = this.#others.childElementCount === 0;
    if (left >= 0) this.#focusAt(left);
    this.#drawChosen();
    this.#tick();
  }

  /** To what stands now where something was, or to the words that nothing does. @param {number} index */
  #focusAt(index) {
    const { children } = this.#mine;
    const item = children[Math.min(index, children.length - 1)];
    /** @type {HTMLElement} */ (item?.querySelector("summary") ?? this.#empty).focus();
  }

  /** @param {any[]} approvals */
  #showDecided(approvals) {
    this.#decidedPart.hidden = approvals.length === 0;
    this.#decided.replaceChildren(
      ...approvals.map(
        ({ trace_id, trace_name, action, tool_name, decision, decided_at, decided_by_name, channel, comment }) => {
          const at = new Date(decided_at ?? 0);
          const by = [decided_by_name, channel && `(${channel})`].filter(Boolean).join(" ");
          return element(
            "tr",
            {},
            element(
              "th",
              { scope: "row" },
              element("a", { href: this.#server.traceUrl(trace_id) }, action || tool_name),
              element("span.trace", {}, trace_name || trace_id),
            ),
            element(
              "td",
              {},
              element(
                `b.${DECISIONS[decision] ?? "pending"}`,
                {},
                decision === "timeout" ? "Timed out" : formatName(decision),
              ),
              comment && element("span.comment", {}, comment),
            ),
            element("td", {}, by),
            element(
              "td",
              {},
              element(
                "time",
                { dateTime: decided_at, title: MOMENT.format(at) },
                `${formatDate(at.getTime())}, ${at.toLocaleTimeString()}`,
              ),
            ),
          );
        },
      ),
    );
  }

  #tick() {
    for (const item of this.#items.values()) item.tick(Date.now() + this.#ahead);
  }

  /** Something was decided here. */
  #look() {
    for (const poll of this.#polls) poll.now();
    dispatchEvent(new Event("approvalsdecided"));
  }

  get #chosenItems() {
    return [...this.#items.values()].filter(({ isChosen }) => isChosen);
  }

  #drawChosen() {
    const { length } = this.#chosenItems;
    this.#chosen.hidden = length === 0;
    setText(this.#chosenText, `${counted(length, "approval")} of low risk`);
  }

  /** @param {"approved" | "rejected"} decision */
  async #decideChosen(decision) {
    const chosen = this.#chosenItems;
    const answers = await Promise.allSettled(chosen.map((item) => item.decide(decision)));
    const problems = answers.flatMap((answer, index) =>
      answer.status === "rejected" ? [`${chosen[index].asked.action}: ${answer.reason.message}`] : [],
    );
    this.#problem.hidden = problems.length === 0;
    setText(this.#problem, problems.join(" "));
    this.#look();
  }

  async #askToNotify() {
    await Notification.requestPermission();
    this.#notify.hidden = Notification.permission !== "default";
  }

  /** @param {Error} error */
  #fail(error) {
    this.#say(
      "away",
      error instanceof Refused ? "Log in to see approvals" : "The server does not answer, trying again",
    );
  }

  /**
   * @param {"wait" | "live" | "away"} kind
   * @param {string} text
   */
  #say(kind, text) {
    this.#state.className = `freshness ${kind}`;
    setText(this.#state, text);
  }
}

/**
 * What is open or has the focus is not moved.
 *
 * @param {HTMLElement} list
 * @param {Item[]} items in their order
 */
function place(list, items) {
  items.forEach(({ element }, index) => {
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
}

// A page may load it by two addresses, with and without the hash of a manifest storage.
if (!customElements.get("approval-inbox")) customElements.define("approval-inbox", ApprovalInbox);
