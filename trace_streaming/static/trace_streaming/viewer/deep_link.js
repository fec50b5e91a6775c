// The page's address names the selected event: #e=17.

const ADDRESS_MS = 150;
const HASH = /^#e=(\d+)$/;

export class DeepLink {
  #viewer;
  #timer = 0;

  /** @param {HTMLElement & {selected: number | null}} viewer */
  constructor(viewer) {
    this.#viewer = viewer;
  }

  get isOn() {
    return this.#viewer.getAttribute("deep-link") !== "off";
  }

  /** The event that the address names, or null. */
  read() {
    const match = this.isOn ? HASH.exec(location.hash) : null;
    return match === null ? null : Number(match[1]);
  }

  /** @param {number | null} sequence */
  urlOf(sequence) {
    const url = new URL(location.href);
    url.hash = sequence === null ? "" : `e=${sequence}`;
    return url.href;
  }

  /** The address follows the selection, but not each step: browsers refuse too many changes. */
  writeSoon() {
    if (!this.isOn) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const { isConnected, selected } = this.#viewer;
      if (!isConnected || (selected === null && !HASH.test(location.hash))) return;
      history.replaceState(history.state, "", this.urlOf(selected));
    }, ADDRESS_MS);
  }
}
