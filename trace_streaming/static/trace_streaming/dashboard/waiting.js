// What waits for the reader, on every page of the app: in the navigation, in the tab's title, and, where he has allowed
// it, as a notification of his desktop, which leads to the trace.

import { setText } from "../viewer/elements.js";

const PERIOD_MS = 5000;
/** While nobody sees the page, and notifications are allowed. */
const UNSEEN_PERIOD_MS = 15_000;

/** @typedef {{approval_id: string, trace_id: string, action: string, risk_level: string, can_decide: boolean}} Waiting */

export class WaitingBadge {
  #link;
  #badge;
  #title = document.title;
  /** @type {Set<string> | null} ids that were there before; null before the first answer */
  #known = null;
  #timer = 0;

  /** @param {HTMLAnchorElement} link of the navigation */
  constructor(link) {
    this.#link = link;
    this.#badge = /** @type {HTMLElement} */ (link.querySelector(".badge"));
    document.addEventListener("visibilitychange", () => this.#ask());
    addEventListener("approvalsdecided", () => this.#ask());
    this.#ask();
  }

  async #ask() {
    clearTimeout(this.#timer);
    const isSeen = !document.hidden;
    if (!isSeen && !mayNotify()) return;
    try {
      const { waiting = "" } = this.#link.dataset;
      const response = await fetch(waiting, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (response.ok) this.show((await response.json()).approvals);
      else if (response.status === 401 || response.status === 403) return; // not logged in any more: the page says so
    } catch {
      // the page says that the server is away
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), isSeen ? PERIOD_MS : UNSEEN_PERIOD_MS);
  }

  /** @param {Waiting[]} approvals that are open */
  show(approvals) {
    const mine = approvals.filter(({ can_decide }) => can_decide);
    const count = mine.length > 99 ? "99+" : String(mine.length);
    this.#badge.hidden = mine.length === 0;
    setText(this.#badge, count);
    this.#badge.title = `${count} wait for you`;
    document.title = mine.length === 0 ? this.#title : `(${count}) ${this.#title}`;
    const before = this.#known;
    this.#known = new Set(mine.map(({ approval_id }) => approval_id));
    if (before === null || !document.hidden || !mayNotify()) return;
    for (const asked of mine) if (!before.has(asked.approval_id)) this.#notify(asked);
  }

  /** @param {Waiting} asked */
  #notify({ approval_id, trace_id, action, risk_level }) {
    // Of several tabs that know of it, the browser shows one: they say the same tag.
    const told = new Notification(action, { body: `${trace_id} · ${risk_level} risk`, tag: approval_id });
    told.addEventListener("click", () => {
      focus();
      location.assign((this.#link.dataset.traceUrl ?? "TRACE").replace("TRACE", encodeURIComponent(trace_id)));
    });
  }
}

function mayNotify() {
  return "Notification" in globalThis && Notification.permission === "granted";
}

const link = document.querySelector("a[data-waiting]");
if (link instanceof HTMLAnchorElement) new WaitingBadge(link);
