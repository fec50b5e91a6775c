// <trace-viewer trace-id="…">: one trace, live. docs/viewer.md says how it is used and themed.

import { TraceStream } from "../client/trace_stream.js";
import { readApproval } from "./asked_approval.js";
import { connectionState, replayed, whatFollows } from "./connection.js";
import { Clock } from "./clock.js";
import { DeepLink } from "./deep_link.js";
import { DetailsPanel } from "./details_panel.js";
import { element, setText } from "./elements.js";
import { Filter } from "./filter.js";
import { Follow } from "./follow.js";
import { helpDialog } from "./help.js";
import { Placeholder } from "./placeholder.js";
import { Run } from "./run.js";
import { press } from "./shortcuts.js";
import { Timeline } from "./timeline.js";
import { Toolbar } from "./toolbar.js";

const STYLES = new URL("./trace_viewer.css", import.meta.url).href;
const TICK_MS = 100;

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
  #selected = /** @type {number | null} */ (null);
  /** The event of the page's address, until it has come. */
  #wanted = /** @type {number | null} */ (null);
  /** The moment that is shown, in the server's time. */
  #now = 0;
  #frame = 0;
  #timer = 0;
  #isStyled = false;

  #link = new DeepLink(this);
  #toolbar = new Toolbar(this.#filter, {
    filter: () => this.#refilter(),
    error: () => this.#goToError(1),
    follow: () => this.#setFollowing(!this.following),
    help: () => this.#help.showModal(),
    reset: () => this.#zoomTo(null),
  });
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
    (fields) => this.#stream?.command("decide", fields) ?? Promise.reject(new Error("Not connected")),
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
    m: () => this.#selected !== null && this.#panel.width.toggle(),
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
    const styles = element("link", { rel: "stylesheet", href: STYLES, nonce: this.nonce });
    styles.addEventListener("load", () => {
      this.#isStyled = true;
      this.#frameOf.hidden = false;
      this.#timeline.resize();
      this.#schedule();
    });
    root.append(styles, this.#frameOf);
    root.addEventListener("keydown", (event) =>
      press(/** @type {KeyboardEvent} */ (event), this.#timeline, this.#actions, (isSearch) => this.#escape(isSearch)),
    );
    root.addEventListener("pointerdown", (event) => {
      if (!(/** @type {Element} */ (event.target).closest(".menu"))) this.#toolbar.closeMenu();
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
    this.#readHash();
    this.#watch();
  }

  disconnectedCallback() {
    globalThis.removeEventListener("hashchange", this.#readHash);
    this.#stop();
  }

  attributeChangedCallback() {
    if (this.isConnected && this.#stream !== null) this.#watch();
  }

  // The stream

  #watch() {
    this.#stop();
    this.#reset();
    this.#timeline.scene.canDecide = this.hasAttribute("can-decide");
    const url = this.#url;
    if (!url) return;
    const stream = (this.#stream = new TraceStream(url, { since: 0, exactIntegers: true }));
    stream.addEventListener("connected", ({ detail }) => this.#connected(detail.state));
    stream.addEventListener("events", ({ detail }) => this.#take(detail));
    stream.addEventListener("delta", ({ detail }) => {
      this.#run.hear(detail);
      this.#schedule();
    });
    stream.addEventListener("live", () => this.following && this.#schedule());
    stream.addEventListener("gap", ({ detail }) => {
      if (detail.reason === "epoch") this.#reset();
      this.#run.addGap(detail);
    });
    stream.addEventListener("ended", ({ detail }) => {
      this.#endState = detail.state;
    });
    // Of most errors the stream comes back by itself, and its state says so.
    stream.addEventListener("error", ({ detail }) => detail.code === null && this.#say(detail.message));
    stream.addEventListener("refused", ({ detail }) => this.#say(detail.message));
    stream.addEventListener("statechange", () => {
      if (stream.state !== "ended") this.#endState = null;
      if (stream.state === "ended" || stream.state === "refused") this.#isRunning = false;
      if (stream.state === "live") this.#isRunning = true;
      this.#schedule();
      this.dispatchEvent(new CustomEvent("statechange", { detail: { state: stream.state } }));
    });
    this.#schedule();
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
    this.#say(null);
    this.#schedule();
  }

  /** @param {string | null} state of the trace */
  #connected(state) {
    this.#say(null);
    this.#isRunning = state === null || state === "running";
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
    const foot = this.#run.rows.length > 0 ? whatFollows(stream, this.#endState) : "";
    const isUnfinished = this.#endState === "incomplete";
    this.#timeline.draw({ now, hasEnded, isUnfinished, following: this.following, foot });
    this.#toolbar.draw(this.#run, connectionState(stream, this.#endState), {
      shown: this.#timeline.shown,
      elapsed: now - this.#run.start,
      isGrowing,
    });
    const { length } = this.#run.events;
    this.#follow.draw(this.#isRunning && length > 0, length);
    this.#toolbar.zoom.hidden = this.#timeline.zoomed === null;
    const part = replayed(stream);
    this.#progress.hidden = part >= 1;
    this.#progress.style.width = `${part * 100}%`;
    this.#placeholder.draw({ rows: this.#run.rows.length, shown: this.#timeline.shown, state: stream?.state });
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

  /** @param {number | null} sequence */
  #select(sequence) {
    const row = sequence === null ? null : this.#run.rowOf(sequence);
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

  /** @param {number} step */
  #goToError(step) {
    const row = this.#timeline.nextError(step);
    if (row !== null) this.#select(row.last.sequence);
  }

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
