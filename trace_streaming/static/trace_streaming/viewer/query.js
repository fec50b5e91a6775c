// What is written into the search: words, and `tool:bash status:error >1s`.

/**
 * @typedef {object} Query
 * @property {string[]} words in lower case, all of which are looked for
 * @property {Map<string, string[]>} facets by name: one of the values of each
 * @property {{isMore: boolean, ms: number}[]} durations
 */

export const FACETS = /** @type {const} */ (["kind", "tool", "model", "agent", "status", "event"]);
const TOKEN = /"([^"]*)"|(\S+)/g;
const FACET = new RegExp(`^(${FACETS.join("|")}):(.+)$`, "i");
const DURATION = /^([<>])(\d+(?:\.\d+)?)(ms|s|m|h)?$/i;
/** @type {Record<string, number>} */
const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * @param {string} text
 * @returns {Query}
 */
export function parseQuery(text) {
  /** @type {Query} */
  const query = { words: [], facets: new Map(), durations: [] };
  for (const [, phrase, token] of text.matchAll(TOKEN)) {
    const facet = token === undefined ? null : FACET.exec(token);
    const duration = token === undefined ? null : DURATION.exec(token);
    if (facet !== null) {
      const name = facet[1].toLowerCase();
      query.facets.set(name, [...(query.facets.get(name) ?? []), facet[2].toLowerCase()]);
    } else if (duration !== null) {
      const [, sign, number, unit = "s"] = duration;
      query.durations.push({ isMore: sign === ">", ms: Number(number) * UNITS[unit.toLowerCase()] });
    } else if ((phrase ?? token) !== "") {
      query.words.push((phrase ?? token).toLowerCase());
    }
  }
  return query;
}
