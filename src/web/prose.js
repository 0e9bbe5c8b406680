// @ts-check
// Text that somebody else wrote, as a part of the page: it stays text, whatever it looks like, and only what is a web
// address becomes a link.

/** An address ends before the punctuation that ends the sentence around it. */
const ADDRESS = /\bhttps?:\/\/[^\s<>"]*[^\s<>"'.,;:!?…)\]}*_~`]/giu;

/** @param {string} text @returns {(string | HTMLAnchorElement)[]} */
export function prose(text) {
  /** @type {(string | HTMLAnchorElement)[]} */
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = closed(match[0], text[match.index + match[0].length]);
    if (!URL.canParse(address)) continue;
    parts.push(text.slice(end, match.index), link(address));
    end = match.index + address.length;
  }
  parts.push(text.slice(end));
  return parts;
}

/** Takes a closing parenthesis in where the address has opened one. @param {string} address @param {string | undefined} next */
function closed(address, next) {
  return next === ")" && address.split("(").length > address.split(")").length ? address + next : address;
}

/** @param {string} address */
function link(address) {
  const link = document.createElement("a");
  link.href = address;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.textContent = address;
  return link;
}
