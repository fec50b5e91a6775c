// From one row to another.

/** @typedef {import("./row.js").Row} Row */

/**
 * Where so many rows further is, within the list; null where there is nothing to select.
 *
 * @param {Row[]} rows
 * @param {number} index
 * @param {number} step
 */
export function indexAfter(rows, index, step) {
  const direction = Math.sign(step);
  let to = Math.min(Math.max(index + step, 0), rows.length - 1);
  while (rows[to]?.kind === "gap") to += direction;
  return rows[to] === undefined ? null : to;
}

/**
 * Where the next error is, from the first again behind the last; null where there is none.
 *
 * @param {Row[]} rows
 * @param {number | null} index
 * @param {number} step 1 or -1
 */
export function indexOfError(rows, index, step) {
  const from = index ?? (step > 0 ? -1 : rows.length);
  for (let distance = 1; distance <= rows.length; distance++) {
    const to = (from + step * distance + rows.length * 2) % rows.length;
    if (rows[to].status === "error") return to;
  }
  return null;
}
