// <trace-viewer trace-id="…">: one trace, live. docs/viewer.md says how it is used and themed.

import { TraceStream } from "./trace-stream.js";
import { connectionState, replayed, whatFollows } from "./viewer/connection.js";
import { Clock } from "./viewer/clock.js";
import { Filter } from "./viewer/filter.js";
import { helpDialog } from "./viewer/help.js";
import { counted } from "./viewer/format.js";
import { DetailsPanel } from "./viewer/details_panel.js";
import { button, element, icon, setText } from "./viewer/elements.js";
import { Run } from "./viewer/run.js";
import { Timeline } from "./viewer/timeline.js";
import { Toolbar } from "./viewer/toolbar.js";

const STYLES = new URL("./trace-viewer.css", import.meta.url).href;
const TICK_MS = 100;
const ADDRESS_MS = 150;
const HASH = /^#e=(\d+)$/;

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
  #following = false;
  #seen = 0;
  /** The moment that is shown, in the server's time. */
  #now = 0;
  #frame = 0;
  #timer = 0;
  #addressTimer = 0;
  #isStyled = false;

  #toolbar = new Toolbar(this.#filter, {
    filter: () => this.#refilter(),
    error: () => this.#goToError(1),
    follow: () => this.#setFollowing(!this.#following),
    help: () => this.#help.showModal(),
    reset: () => this.#zoomTo(null),
  });
  #timeline = new Timeline(this.#run, this.#filter, {
    select: (row) => this.#select(row?.first?.sequence ?? null),
    scrolled: (atEnd, back) => this.#scrolled(atEnd, back),
    changed: () => this.#schedule(),
  });
  #panel = new DetailsPanel(
    this.#timeline.scene,
    () => this.#close(),
    (step) => this.#timeline.move(step),
    (sequence) => this.#linkTo(sequence),
    (fields) => this.#stream?.command("decide", fields) ?? Promise.reject(new Error("Not connected")),
  );
  #notice = element("p.notice", { role: "alert", hidden: true });
  #progress = element("span.progress", { hidden: true });
  #jump = button("down", "", () => this.#setFollowing(true), { classes: "jump" });
  #placeholder = element("div.placeholder", {}, icon("event"), element("p"), element("p.hint"));
  #help = helpDialog();
  #frameOf = element(
    "div.viewer",
    { hidden: true },
    this.#toolbar.element,
    this.#notice,
    this.#progress,
    element(
      "div.split",
      {},
      element("div.stage", {}, this.#timeline.element, this.#placeholder, this.#jump),
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
    root.addEventListener("keydown", (event) => this.#press(/** @type {KeyboardEvent} */ (event)));
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
    return this.#following;
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
    const traceId = this.getAttribute("trace-id");
    const url = this.getAttribute("url") || (traceId && `/ws/traces/${encodeURIComponent(traceId)}`);
    if (!url) return;
    const stream = (this.#stream = new TraceStream(url, { since: 0 }));
    stream.addEventListener("connected", ({ detail }) => this.#connected(detail.state));
    stream.addEventListener("events", ({ detail }) => this.#take(detail));
    stream.addEventListener("live", () => this.#following && this.#schedule());
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
    this.#now = this.#seen = 0;
    this.#selected = null;
    this.#timeline.scene.selected = null;
    this.#say(null);
    this.#schedule();
  }

  /** @param {string | null} state of the trace */
  #connected(state) {
    this.#say(null);
    this.#isRunning = state === null || state === "running";
    if (this.#run.events.length === 0) this.#following = this.#isRunning && this.#wanted === null;
  }

  /** @param {import("./trace-stream.js").TraceEvent[]} events */
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
    this.#timeline.draw({ now, hasEnded, following: this.#following, foot });
    if (this.#following) this.#seen = this.#run.events.length;
    this.#toolbar.draw(this.#run, connectionState(stream, this.#endState), {
      shown: this.#timeline.shown,
      elapsed: now - this.#run.start,
      isGrowing,
    });
    this.#drawFollow();
    const part = replayed(stream);
    this.#progress.hidden = part >= 1;
    this.#progress.style.width = `${part * 100}%`;
    this.#drawPlaceholder(stream?.state);
    this.#panel.show(this.#selected === null ? null : this.#run.rowOf(this.#selected));
    clearTimeout(this.#timer);
    const ticks = isGrowing || stream?.state === "reconnecting";
    this.#timer = ticks ? setTimeout(() => this.#schedule(), TICK_MS) : 0;
  }

  #drawFollow() {
    const isUseful = this.#isRunning && this.#run.events.length > 0;
    const { follow, zoom } = this.#toolbar;
    follow.hidden = !isUseful;
    follow.setAttribute("aria-pressed", String(this.#following));
    zoom.hidden = this.#timeline.zoomed === null;
    const unseen = this.#run.events.length - this.#seen;
    this.#jump.hidden = !isUseful || this.#following || unseen === 0;
    if (!this.#jump.hidden) setText(this.#jump.lastChild, counted(unseen, "new event"));
  }

  /** @param {string | undefined} state of the stream */
  #drawPlaceholder(state) {
    const [text, hint] = this.#nothing(state);
    this.#placeholder.hidden = text === "";
    this.#placeholder.classList.toggle("waiting", this.#run.rows.length === 0 && state !== "refused");
    setText(this.#placeholder.children[1], text);
    setText(this.#placeholder.children[2], hint);
  }

  /**
   * @param {string | undefined} state of the stream
   * @returns {[string, string]} what to say where there is nothing to show
   */
  #nothing(state) {
    if (this.#timeline.shown > 0) return ["", ""];
    if (this.#run.rows.length > 0) return ["No event matches.", "Press Escape to show all of them."];
    if (state === "refused") return ["Nothing can be shown.", "The server has closed the connection."];
    if (state === "ended") return ["The trace ended without an event.", ""];
    if (state === "live") return ["Waiting for the first event.", "It appears here as soon as it is emitted."];
    return ["Connecting to the trace.", ""];
  }

  // Moving about

  /** @param {boolean} following */
  #setFollowing(following) {
    this.#following = following;
    this.#seen = this.#run.events.length;
    this.#schedule();
  }

  /**
   * Who scrolls back wants to read; who scrolls to the end wants to see what comes.
   *
   * @param {boolean} atEnd
   * @param {boolean} back
   */
  #scrolled(atEnd, back) {
    if (back && this.#following) this.#setFollowing(false);
    else if (atEnd && !this.#following && this.#isRunning && this.#selected === null) this.#setFollowing(true);
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
      if (this.#following) this.#setFollowing(false);
      this.#timeline.reveal(row);
    }
    if (this.#linksDeep) this.#addressSoon();
    this.#schedule();
    this.dispatchEvent(new CustomEvent("eventselect", { detail: { sequence: this.#selected } }));
  }

  #close() {
    this.#select(null);
    this.#timeline.focus();
  }

  /** The page's address follows the selection, but not each step: browsers refuse too many changes. */
  #addressSoon() {
    clearTimeout(this.#addressTimer);
    this.#addressTimer = setTimeout(() => {
      if (!this.isConnected || (this.#selected === null && !HASH.test(location.hash))) return;
      history.replaceState(history.state, "", this.#linkTo(this.#selected));
    }, ADDRESS_MS);
  }

  /** @param {number} step */
  #goToError(step) {
    const row = this.#timeline.nextError(step);
    if (row !== null) this.#select(row.last.sequence);
  }

  get #linksDeep() {
    return this.getAttribute("deep-link") !== "off";
  }

  /** @param {number | null} sequence */
  #linkTo(sequence) {
    const url = new URL(location.href);
    url.hash = sequence === null ? "" : `e=${sequence}`;
    return url.href;
  }

  #readHash = () => {
    const match = this.#linksDeep ? HASH.exec(location.hash) : null;
    if (match === null || Number(match[1]) === this.#selected) return;
    this.#wanted = Number(match[1]);
    this.#following = false;
    this.#schedule();
  };

  #openWanted() {
    this.#select(this.#wanted);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const types = target.matches("input[type=search]");
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest("dialog, form")) return;
    if (event.key === "Escape") {
      if (this.#selected !== null && !types) this.#close();
      else if (this.#filter.isActive) this.#toolbar.clear();
      if (types) this.#timeline.focus();
      return;
    }
    if (types) return;
    /** @type {Record<string, () => void>} */
    const actions = {
      "/": () => this.#toolbar.focusSearch(),
      f: () => this.#setFollowing(!this.#following),
      e: () => this.#goToError(1),
      E: () => this.#goToError(-1),
      0: () => this.#zoomTo(null),
      "+": () => this.#timeline.zoomBy(0.5),
      "-": () => this.#timeline.zoomBy(2),
      "?": () => this.#help.showModal(),
    };
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : null;
    if (action !== null) {
      action();
      event.preventDefault();
    } else if (!target.closest(".panel, .toolbar")) {
      this.#timeline.press(event);
    } else if (!target.closest(".toolbar") && (event.key === "j" || event.key === "k")) {
      this.#timeline.move(event.key === "j" ? 1 : -1);
    }
  }
}

// A page may load it by two addresses, with and without the hash of a manifest storage.
if (!customElements.get("trace-viewer")) customElements.define("trace-viewer", TraceViewer);
