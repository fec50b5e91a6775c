// The server's time, as far as its events tell: the clocks of two machines need not agree.

export class Clock {
  /** What is to be taken from this machine's time; null while no event has come live. */
  #ahead = /** @type {number | null} */ (null);

  /**
   * An event came just after it happened: what lies between is the least of these, for some come late.
   *
   * @param {number} time of the event, in milliseconds since 1970
   */
  heard(time) {
    const ahead = Date.now() - time;
    this.#ahead = this.#ahead === null ? ahead : Math.min(this.#ahead, ahead);
  }

  /** Milliseconds since 1970. */
  now() {
    return Date.now() - (this.#ahead ?? 0);
  }
}
