// <trace-viewer trace-id="…">: one trace, live. docs/viewer.md says how it is used and themed.

import { TraceStream } from "../client/trace_stream.js";
import { readApproval } from "./asked_approval.js";
import { connectionState, replayed, whatFollows } from "./connection.js";
import { Clock } from "./clock.js";
import { DeepLink } from "./deep_link.js";
import { canBeDecided } from "./decision_form.js";
import { DetailsPanel } from "./details_panel.js";
import { element, loadStyles, setText } from "./elements.js";
import { Filter } from "./filter.js";
import { Follow } from "./follow.js";
import { helpDialog } from "./help.js";
import { exportMenu } from "./menus.js";
import { Placeholder } from "./placeholder.js";
import { Run } from "./run.js";
import { press } from "./shortcuts.js";
import { StopMenu, stopState } from "./stop.js";
import { Timeline } from "./timeline.js";
import { Toolbar } from "./toolbar.js";

const STYLES = [
  new URL("./decision_form.css", import.meta.url).href,
  new URL("./trace_viewer.css", import.meta.url).href,
];
const TICK_MS = 100;
/** The close code for those who have not logged in, or not any more. */
const NOBODY = 4401;

export class TraceViewer extends HTMLElement {
  static observedAttributes = ["trace-id", "url", "can-decide"];

  #run = new Run();
  #clock = new Clock();
  #filter = new Filter();
  /** @type {TraceStream | null} */
  #stream = null;
  #endState = /** @type {string | null} */ (null);
  /** Whether more events are to be expected. */
  #isRunning = false;
  /** Whether the server knew nothing of such a trace. */
  #isUnknown = false;
  /** Whether there was no connection yet, and an attempt has failed. */
  #isUnreachable = false;
  #selected = /** @type {number | null} */ (null);
  /** The event of the page's address, until it has come. */
  #wanted = /** @type {number | null} */ (null);
  /** The moment that is shown, in the server's time. */
  #now = 0;
  #frame = 0;
  #timer = 0;
  #isStyled = false;

  #link = new DeepLink(this);
  #stopMenu = new StopMenu((fields) => this.#command("stop", fields));
  #toolbar = new Toolbar(
    this.#filter,
    {
      filter: () => this.#refilter(),
      error: () => this.#goToError(1),
      follow: () => this.#setFollowing(!this.following),
      help: () => this.#help.showModal(),
      reset: () => this.#zoomTo(null),
      waits: () => this.#squeeze(!this.#timeline.squeezes),
      changed: () => this.#schedule(),
    },
    this.#stopMenu.element,
    exportMenu(
      () => this.#url,
      () => ({ name: this.getAttribute("trace-id") ?? "trace", rows: this.#run.rows }),
    ),
  );
  #follow = new Follow(this.#toolbar.follow, () => this.#setFollowing(true));
  #timeline = new Timeline(this.#run, this.#filter, {
    select: (row) => this.#select(row?.first?.sequence ?? null),
    scrolled: (atEnd, back) => this.#scrolled(atEnd, back),
    changed: () => this.#schedule(),
  });
  #panel = new DetailsPanel(
    this.#timeline.scene,
    () => this.#close(),
    (step) => this.#timeline.move(step),
    (sequence) => this.#link.urlOf(sequence),
    (fields) => this.#command("decide", fields),
    (approvalId) => readApproval(this.#url, approvalId),
    { toCall: (callId) => this.#wayTo(callId) },
  );
  #notice = element("p.notice", { role: "alert", hidden: true });
  #progress = element("span.progress", { hidden: true });
  #placeholder = new Placeholder();
  #help = helpDialog();
  /** @type {Record<string, () => void>} by key */
  #actions = {
    "/": () => this.#toolbar.focusSearch(),
    f: () => this.#setFollowing(!this.following),
    e: () => this.#goToError(1),
    E: () => this.#goToError(-1),
    0: () => this.#zoomTo(null),
    "+": () => this.#timeline.zoomBy(0.5),
    "-": () => this.#timeline.zoomBy(2),
    a: () => this.#decide("approve"),
    r: () => this.#decide("reject"),
    m: () => this.#selected !== null && this.#panel.width.toggle(),
    w: () => this.#selected !== null && this.#panel.wrap(),
    "?": () => this.#help.showModal(),
  };
  #frameOf = element(
    "div.viewer",
    { hidden: true },
    this.#toolbar.element,
    this.#notice,
    this.#progress,
    element(
      "div.split",
      {},
      element("div.stage", {}, this.#timeline.element, this.#placeholder.element, this.#follow.jump),
      this.#panel.element,
    ),
    this.#help,
  );

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    loadStyles(root, STYLES, this.nonce, () => {
      this.#isStyled = true;
      this.#frameOf.hidden = false;
      this.#timeline.resize();
      this.#schedule();
    });
    root.append(this.#frameOf);
    root.addEventListener("keydown", (event) => this.#press(/** @type {KeyboardEvent} */ (event)));
    root.addEventListener("pointerdown", (event) => {
      for (const menu of root.querySelectorAll("details.menu[open]")) {
        if (!menu.contains(/** @type {Node} */ (event.target))) menu.removeAttribute("open");
      }
    });
  }

  /** The client; null while the element is not in a document. */
  get stream() {
    return this.#stream;
  }
  /** All events that were received, in order; do not change it. */
  get events() {
    return this.#run.events;
  }
  /** The end state of the trace; null while more is to be expected. */
  get endState() {
    return this.#endState;
  }
  /** Whether the newest event is kept in view. */
  get following() {
    return this.#follow.isOn;
  }
  /** Sequence of the selected event, or null. Setting it selects and opens that event. */
  get selected() {
    return this.#selected;
  }
  set selected(sequence) {
    this.#select(sequence);
  }

  connectedCallback() {
    globalThis.addEventListener("hashchange", this.#readHash);
    document.addEventListener("keydown", this.#pressOnPage);
    this.#readHash();
    this.#watch();
  }

  disconnectedCallback() {
    globalThis.removeEventListener("hashchange", this.#readHash);
    document.removeEventListener("keydown", this.#pressOnPage);
    this.#stop();
  }

  attributeChangedCallback() {
    if (this.isConnected && this.#stream !== null) this.#watch();
  }

  // The stream

  #watch() {
    this.#stop();
    this.#reset();
    this.#isUnreachable = false;
    this.#timeline.scene.canDecide = this.hasAttribute("can-decide");
    this.#timeline.scene.refusal = this.getAttribute("cannot-decide") ?? "It waits for somebody who may decide it";
    const url = this.#url;
    if (!url) return;
    const stream = (this.#stream = new TraceStream(url, { since: 0, exactIntegers: true }));
    stream.addEventListener("connected", ({ detail }) => this.#connected(detail.state));
    stream.addEventListener("events", ({ detail }) => this.#take(detail));
    stream.addEventListener("delta", ({ detail }) => {
      this.#run.hear(detail);
      this.#schedule();
    });
    stream.addEventListener("live", () => {
      if (!this.following) this.#follow.see(this.#run.events.length); // what was replayed is not new
      this.#schedule();
    });
    stream.addEventListener("gap", ({ detail }) => {
      if (detail.reason === "epoch") this.#reset();
      this.#run.addGap(detail);
    });
    stream.addEventListener("ended", ({ detail }) => {
      this.#endState = detail.state;
    });
    // Of most errors the stream comes back by itself, and its state says so.
    stream.addEventListener("error", ({ detail }) => detail.code === null && this.#say(detail.message));
    stream.addEventListener("refused", ({ detail: { code, message } }) =>
      this.#say(code === NOBODY ? `${message}, then load this page again` : message),
    );
    stream.addEventListener("statechange", () => {
      if (stream.state !== "ended") this.#endState = null;
      this.#isUnreachable = stream.state === "connecting"; // which is said again only where an attempt has failed
      if (stream.state === "ended" || stream.state === "refused") this.#isRunning = false;
      if (stream.state === "ended") this.#stopMenu.reset();
      if (stream.state === "live") this.#isRunning = true;
      this.#schedule();
      this.dispatchEvent(new CustomEvent("statechange", { detail: { state: stream.state } }));
    });
    this.#schedule();
  }

  /** @param {string} type @param {Record<string, unknown>} fields */
  #command(type, fields) {
    return this.#stream?.command(type, fields) ?? Promise.reject(new Error("Not connected"));
  }

  /** Of the socket; empty where nothing is to be watched. */
  get #url() {
    const traceId = this.getAttribute("trace-id");
    return this.getAttribute("url") || (traceId ? `/ws/traces/${encodeURIComponent(traceId)}` : "");
  }

  #stop() {
    this.#stream?.close();
    this.#stream = null;
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#frame = this.#timer = 0;
  }

  /** Forget all events: they are of another trace, or of another life of it. */
  #reset() {
    this.#run = new Run();
    this.#timeline.setRun(this.#run);
    this.#endState = null;
    this.#now = 0;
    this.#follow.see(0);
    this.#selected = null;
    this.#timeline.scene.selected = null;
    this.#stopMenu.reset();
    this.#say(null);
    this.#schedule();
  }

  /** @param {string | null} state of the trace */
  #connected(state) {
    this.#say(null);
    this.#isRunning = state === null || state === "running";
    this.#isUnknown = state === null && this.#stream?.profile === "v1";
    if (this.#run.events.length === 0) this.#follow.isOn = this.#isRunning && this.#wanted === null;
  }

  /** @param {import("../client/trace_stream.d.ts").TraceEvent[]} events */
  #take(events) {
    this.#run.add(events);
    if (this.#stream?.state === "live") this.#clock.heard(this.#run.end);
    this.#schedule();
  }

  /** @param {string | null} message */
  #say(message) {
    this.#notice.hidden = message === null;
    setText(this.#notice, message ?? "");
  }

  // Showing: once per painted frame, however much has come

  #schedule() {
    if (this.#frame === 0 && this.isConnected) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = 0;
    if (!this.#isStyled) return;
    const stream = this.#stream;
    const hasEnded = this.#endState !== null;
    const isGrowing = this.#run.start > 0 && stream?.state === "live";
    // Without a connection nothing is known of what is open: its time stands still.
    this.#now = Math.max(isGrowing ? this.#clock.now() : this.#now, this.#run.end);
    const now = hasEnded ? this.#run.end : this.#now;
    if (this.#wanted !== null && this.#run.rowOf(this.#wanted) !== null) this.#openWanted();
    else if (this.#wanted !== null && stream?.state === "ended") {
      this.#say(`There is no event ${this.#wanted} in this trace`); // nor will there be
      this.#wanted = null;
    }
    const foot = this.#run.rows.length > 0 ? whatFollows(stream, this.#endState) : "";
    const isUnfinished = this.#endState === "incomplete";
    this.#timeline.draw({ now, hasEnded, isUnfinished, following: this.following, foot });
    const isLive = stream?.state === "live";
    const isUnknown = this.#isUnknown && this.#run.events.length === 0;
    const stop = this.#stopMenu.known(this.#run.stop, now);
    this.#stopMenu.draw(
      isLive && this.#isRunning && stop === null && this.#run.events.length > 0 && this.#timeline.scene.canDecide,
    );
    const state =
      stopState(stop, { endState: this.#endState, isLive, now }) ??
      connectionState(stream, this.#endState, isUnknown, this.#isUnreachable);
    this.#toolbar.draw(this.#run, state, {
      shown: this.#timeline.shown,
      elapsed: now - this.#run.start,
      isGrowing,
    });
    const { length } = this.#run.events;
    this.#follow.draw(this.#isRunning && length > 0, length, isLive);
    this.#toolbar.zoom.hidden = this.#timeline.zoomed === null;
    this.#toolbar.waits.hidden = !this.#timeline.hasWaits;
    this.#toolbar.waits.setAttribute("aria-pressed", String(this.#timeline.squeezes));
    const part = replayed(stream);
    this.#progress.hidden = part >= 1;
    this.#progress.style.width = `${part * 100}%`;
    const { shown } = this.#timeline;
    this.#placeholder.draw({
      rows: this.#run.rows.length,
      shown,
      state: this.#isUnreachable ? "unreachable" : isUnknown && isLive ? "unknown" : stream?.state,
    });
    this.#panel.show(this.#selected === null ? null : this.#run.rowOf(this.#selected));
    clearTimeout(this.#timer);
    const ticks = isGrowing || stream?.state === "reconnecting";
    this.#timer = ticks ? setTimeout(() => this.#schedule(), TICK_MS) : 0;
  }

  // Moving about

  /** Goes to the row of a call; null where there is none. @param {string} callId */
  #wayTo(callId) {
    const row = this.#run.ofCall(callId);
    return row === null ? null : () => this.#select(row.first.sequence);
  }

  /** @param {boolean} following */
  #setFollowing(following) {
    this.#follow.isOn = following;
    this.#follow.see(this.#run.events.length);
    this.#schedule();
  }

  /**
   * Who scrolls back wants to read; who scrolls to the end wants to see what comes.
   *
   * @param {boolean} atEnd
   * @param {boolean} back
   */
  #scrolled(atEnd, back) {
    if (back && this.following) this.#setFollowing(false);
    else if (atEnd && !this.following && this.#isRunning && this.#selected === null) this.#setFollowing(true);
    this.#schedule();
  }

  #refilter() {
    this.#timeline.refilter();
    this.#schedule();
  }

  /** @param {{from: number, to: number} | null} part of the trace; null for all */
  #zoomTo(part) {
    this.#timeline.zoomed = part;
    this.#schedule();
  }

  /** @param {boolean} squeezes */
  #squeeze(squeezes) {
    this.#timeline.squeezes = squeezes;
    this.#schedule();
  }

  /** @param {number | null} sequence */
  #select(sequence) {
    const row = sequence === null ? null : this.#run.rowOf(sequence);
    if (row !== null && this.#stream?.state === "ended") this.#say(null);
    this.#wanted = row === null ? sequence : null;
    this.#selected = row === null ? null : sequence;
    this.#timeline.scene.selected = row;
    if (row !== null) {
      if (this.following) this.#setFollowing(false);
      this.#timeline.reveal(row);
    }
    this.#link.writeSoon();
    this.#schedule();
    this.dispatchEvent(new CustomEvent("eventselect", { detail: { sequence: this.#selected } }));
  }

  #close() {
    this.#select(null);
    this.#timeline.focus();
  }

  /** Goes to what waits for a decision, and to the button: who presses that decides. @param {"approve" | "reject"} what */
  #decide(what) {
    const row = this.#run.rows.find(canBeDecided);
    if (row === undefined || !this.#timeline.scene.canDecide) return;
    this.#select(row.first.sequence);
    this.#panel.focusDecision(row, what);
  }

  /** @param {number} step */
  #goToError(step) {
    const row = this.#timeline.nextError(step);
    if (row !== null) this.#select(row.last.sequence);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    press(event, this.#timeline, this.#actions, (isSearch) => this.#escape(isSearch));
  }

  /** Keys work as soon as the page is there; of several viewers, for the first. @param {KeyboardEvent} event */
  #pressOnPage = (event) => {
    const isNobodys = document.activeElement === null || document.activeElement === document.body;
    if (isNobodys && event.target === document.body && document.querySelector("trace-viewer") === this)
      this.#press(event);
  };

  #readHash = () => {
    const sequence = this.#link.read();
    if (sequence === null || sequence === this.#selected) return;
    this.#wanted = sequence;
    this.#follow.isOn = false;
    this.#schedule();
  };

  #openWanted() {
    this.#select(this.#wanted);
  }

  /** @param {boolean} isSearch whether the words are typed just now */
  #escape(isSearch) {
    if (this.#selected !== null && !isSearch) this.#close();
    else if (this.#filter.isActive) this.#toolbar.clear();
    if (isSearch) this.#timeline.focus();
  }
}

// A page may load it by two addresses, with and without the hash of a manifest storage.
if (!customElements.get("trace-viewer")) customElements.define("trace-viewer", TraceViewer);
