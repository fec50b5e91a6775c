// Asks the server again and again: only while the page is seen, and never more often than the answers are cheap.

const PATIENCE_MS = 20_000;
/** So many times as long as an answer took, nothing is asked: a heavy window must not keep the database busy. */
const REST = 10;

export class Polling {
  #period;
  #ask;
  #show;
  #fail;
  #timer = 0;
  #stopping = new AbortController();
  #isRunning = false;
  #round = 0;

  /**
   * @param {number} period milliseconds between two questions, at least
   * @param {(signal: AbortSignal) => Promise<any>} ask
   * @param {(answer: any) => void} show
   * @param {(error: Error) => void} fail
   */
  constructor(period, ask, show, fail) {
    this.#period = period;
    this.#ask = ask;
    this.#show = show;
    this.#fail = fail;
  }

  start() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    document.addEventListener("visibilitychange", this.#look);
    this.now();
  }

  stop() {
    this.#isRunning = false;
    document.removeEventListener("visibilitychange", this.#look);
    this.#halt();
  }

  /** Ask now; an answer that is under way is not waited for. */
  now() {
    this.#halt();
    if (this.#isRunning && !document.hidden) this.#poll(++this.#round);
  }

  #look = () => (document.hidden ? this.#halt() : this.now());

  #halt() {
    clearTimeout(this.#timer);
    this.#stopping.abort();
    this.#stopping = new AbortController();
    this.#round += 1;
  }

  /** @param {number} round */
  async #poll(round) {
    const began = performance.now();
    try {
      const answer = await this.#ask(AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(PATIENCE_MS)]));
      if (round !== this.#round) return;
      this.#show(answer);
    } catch (error) {
      if (round !== this.#round) return;
      this.#fail(/** @type {Error} */ (error));
    }
    const rest = Math.max(this.#period, (performance.now() - began) * REST);
    this.#timer = setTimeout(() => this.#poll(round), rest);
  }
}

/** What the server refuses; it answers. */
export class Refused extends Error {}

/**
 * @param {string} url
 * @param {AbortSignal} signal
 */
export async function getJson(url, signal) {
  const response = await fetch(url, { headers: { Accept: "application/json" }, cache: "no-store", signal });
  if (response.status === 401 || response.status === 403) throw new Refused(`The server answers ${response.status}`);
  if (!response.ok) throw new Error(`The server answers ${response.status}`);
  return response.json();
}
