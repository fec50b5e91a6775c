// How high rows are. The style sheet takes it from here: a row's place must be known before it is drawn.

export const WIDE = { row: 34, card: 76 };
const NARROW = { row: 58, card: 96 };
const NARROW_PX = 680;

/**
 * The heights for the room that there is.
 *
 * @param {HTMLElement} grid
 */
export function fitRows(grid) {
  const heights = grid.clientWidth < NARROW_PX ? NARROW : WIDE;
  grid.style.setProperty("--row-height", `${heights.row}px`);
  grid.style.setProperty("--card-height", `${heights.card}px`);
  grid.style.setProperty("--view-height", `${grid.clientHeight}px`);
  grid.classList.toggle("narrow", heights === NARROW);
  return heights;
}
