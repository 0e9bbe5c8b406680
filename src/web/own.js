// @ts-check
// Which messages are one's own: with a token those of its subject, also if somebody else takes one's name; without one those that are
// under one's name and nobody's in particular.

/**
 * Who looks at the page.
 * @typedef {object} Me
 * @property {string} name "" where one has given none.
 * @property {string} sub The subject of one's token; "" without a token.
 */

/** @param {{ author: string | null, sub?: string }} message @param {Me} me */
export function isOwn({ author, sub }, me) {
  return me.sub ? sub === me.sub : sub === undefined && author !== null && author === me.name;
}
