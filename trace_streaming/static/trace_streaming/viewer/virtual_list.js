// A list of any length, of which only what is in view is in the document.

/** Rows that are kept above and below what is in view, in pixels. */
const MARGIN_PX = 240;

/**
 * @template Item
 * @typedef {{element: HTMLElement, show: (item: Item, index: number) => void, hide: () => void}} View
 */

/**
 * Every item is shown by a view; a view whose item went out of view shows another one.
 *
 * @template Item
 */
export class VirtualList {
  /** @type {Item[]} */
  items = [];
  /** Where each item begins, and where the last one ends, in pixels. */
  #tops = [0];
  /** @type {Map<Item, View<Item>>} */
  #views = new Map();
  /** @type {View<Item>[]} */
  #spare = [];

  /**
   * @param {HTMLElement} viewport what scrolls
   * @param {HTMLElement} body what the rows are in; becomes as high as all of them
   * @param {() => View<Item>} makeView
   * @param {(item: Item) => number} heightOf in pixels; the same for an item as long as the layout is
   */
  constructor(viewport, body, makeView, heightOf) {
    this.viewport = viewport;
    this.body = body;
    this.makeView = makeView;
    this.heightOf = heightOf;
  }

  get height() {
    return this.#tops[this.items.length];
  }

  /** @param {Item[]} items all of them, from now on */
  replace(items) {
    this.items = [];
    this.#tops.length = 1;
    this.append(items);
  }

  /** @param {Item[]} items */
  append(items) {
    let top = this.height;
    for (const item of items) {
      this.items.push(item);
      this.#tops.push((top += this.heightOf(item)));
    }
    this.body.style.height = `${top}px`;
  }

  /** Forget all views: their layout is another one now. */
  reset() {
    for (const { element } of [...this.#views.values(), ...this.#spare]) element.remove();
    this.#views.clear();
    this.#spare = [];
    this.replace(this.items);
  }

  /** Show what is in view now, once per frame. */
  render() {
    const [first, last] = this.range(MARGIN_PX);
    const shown = new Set(this.items.slice(first, last));
    for (const [item, view] of this.#views) {
      if (shown.has(item)) continue;
      this.#views.delete(item);
      this.#spare.push(view);
    }
    let next = this.body.firstElementChild;
    for (let index = first; index < last; index++) {
      const item = this.items[index];
      const view = this.#views.get(item) ?? this.#spare.pop() ?? this.makeView();
      this.#views.set(item, view);
      view.show(item, index);
      view.element.style.transform = `translateY(${this.#tops[index]}px)`;
      // In the document they stand as they are seen, for those who read it in order.
      if (view.element === next) next = next.nextElementSibling;
      else this.body.insertBefore(view.element, next);
    }
    for (const view of this.#spare) view.hide();
  }

  /**
   * The items that are in view: from, and up to without.
   *
   * @param {number} [margin] in pixels
   */
  range(margin = 0) {
    const top = this.viewport.scrollTop;
    const bottom = top + this.viewport.clientHeight - this.body.offsetTop;
    return [this.indexAt(top - margin), Math.min(this.indexAt(bottom + margin) + 1, this.items.length)];
  }

  /**
   * The item at a height.
   *
   * @param {number} y in pixels
   */
  indexAt(y) {
    let low = 0;
    let high = Math.max(this.items.length - 1, 0);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * Scroll as little as makes an item visible.
   *
   * @param {number} index
   * @param {boolean} [centred]
   */
  scrollTo(index, centred = false) {
    const [top, bottom] = [this.#tops[index], this.#tops[index + 1]];
    const room = this.viewport.clientHeight - this.body.offsetTop;
    const current = this.viewport.scrollTop;
    if (centred && (top < current || bottom > current + room)) {
      this.viewport.scrollTop = (top + bottom - room) / 2;
    } else if (top < current) {
      this.viewport.scrollTop = top;
    } else if (bottom > current + room) {
      this.viewport.scrollTop = bottom - room;
    }
  }
}
