// @ts-check
// Who you are where a server asks for a token. It comes with an invitation link, in the part of the address that no browser sends
// anywhere; it is kept in this browser, and forgotten when you sign out. Whoever it makes of you, the page says so, and nobody's
// link makes you somebody else without asking.
import { byId, element, handFocusOn, isFocusFree } from "./element.js";
import { shownName } from "./message-row.js";
import { isRoomName } from "./room-name.js";
import * as words from "./words.js";

/** @import { LingerError } from "../client/client.ts" */
/** @import { Banner } from "./banner.js" */
/** @import { Memory } from "./memory.js" */
/** @import { Me } from "./own.js" */

const LINK = "#token=";

export class Session {
  #memory;
  #banner;
  #token;
  /** What it says. */
  #claims;
  /** Where one was writing when that was hidden. @type {HTMLElement | undefined} */
  #writing;

  /** @param {Memory} memory @param {Banner} banner */
  constructor(memory, banner) {
    this.#memory = memory;
    this.#banner = banner;
    this.accept();
    // For as long as this page is there: another window can become somebody else, and this one has to say so then.
    this.#token = memory.token;
    this.#claims = claimsOf(this.#token);
    const changed = () => {
      if (memory.token === this.#token) return;
      removeEventListener("storage", changed); // one change comes as many events, and one reload does
      this.restart();
    };
    // Of what was done while the browser kept this page, to come back to, it was told nothing.
    for (const type of ["storage", "pageshow"]) addEventListener(type, changed);
    byId("sign-out").addEventListener("click", () => {
      const unsent = memory.unsent().length;
      if (unsent > 0 && !confirm(words.askSignOut(unsent))) return;
      memory.forget();
      this.restart();
    });
  }

  /** Has the page begin anew, as who one is by now. @param {string} [link] The part of the address that says so. */
  restart(link) {
    if (!this.isSame) this.#memory.close(); // what the one before has on its way still comes to its end here
    // What is not stored the next page can take from its address only.
    if (link && !this.#memory.keepsToken) history.replaceState(null, "", link);
    location.reload();
  }

  /** Takes the token out of the address, if there is one; returns whether it is another than before. */
  accept() {
    if (!location.hash.startsWith(LINK)) return false;
    const token = location.hash.slice(LINK.length);
    history.replaceState(null, "", location.pathname + location.search);
    const { name, rooms, exp } = claimsOf(token);
    const { name: before, token: tokenBefore } = this.#memory;
    // One's own that is over, as of an old mail, only leads to its room: what one has holds for longer.
    const isOver = ofOne(token, tokenBefore) && exp * 1_000 < Date.now() && exp < claimsOf(tokenBefore).exp;
    const isAnother = token !== tokenBefore && !isOver;
    if (isAnother) {
      const isRenewed = ofOne(token, tokenBefore);
      // What a link says nobody has verified: so also a new token for the same one is asked about.
      const unsent = this.#memory.unsent().length;
      const shown = name && shownName(name);
      const question = isRenewed
        ? words.linkRenews(shown)
        : words.linkForAnother(shown, before && shownName(before), unsent);
      if ((tokenBefore || before) && !confirm(question)) return false;
      if (isRenewed) this.#memory.token = token;
      else this.#memory.forget(token); // what one has written is not for the next to send
      if (name) this.#memory.name = name;
    }
    const room = rooms.find(isRoomName);
    if (room) history.replaceState(null, "", `#${room}`);
    return isAnother;
  }

  /** What goes with each request. */
  get token() {
    return this.#token || undefined;
  }

  /** The name in the token, which is not yours to change; "" where there is none. */
  get givenName() {
    return this.#claims.name;
  }

  /** Whether this browser is still yours: another window can have become somebody else, or have renewed your token. */
  get isSame() {
    return ofOne(this.#memory.token, this.#token);
  }

  /** Who you are for the server. @returns {Me} */
  get me() {
    return { name: this.#memory.name, sub: this.#claims.sub };
  }

  /** Whether the token says that you may delete what others wrote in a room. @param {string} room */
  moderates(room) {
    return this.#claims.moderate.some((name) =>
      name.endsWith("*") ? room.startsWith(name.slice(0, -1)) : room === name
    );
  }

  /** Says who you are, as the token has it. */
  show() {
    byId("sign-out").hidden = !this.token;
    byId("rename").hidden = this.givenName !== "";
    this.#close(false);
  }

  /**
   * Says why the server does not let you in, and what to do: where there is nothing to see in its place, else above what you read.
   * @param {LingerError} error
   */
  refused(error) {
    const refusal = this.#refusalOf(error, words.byInvitation);
    this.#close(true);
    if (byId("log").hasChildNodes()) return this.#banner.tell("signed-out", noticeOf(refusal));
    const { title, text, signIn } = refusal;
    const gate = byId("gate");
    const said = element(
      "div",
      {},
      element("h2", { textContent: title }),
      element("p", { textContent: text }),
      ...signIn ? [element("a", { href: signIn, textContent: words.signIn })] : [],
    );
    // What it says already stays: it comes with each try, and would be read out each time, and be gone under a click.
    if (gate.innerHTML !== said.innerHTML) {
      handFocusOn(gate, () => gate.replaceChildren(...said.childNodes), () => byId("scroller"));
    }
    gate.hidden = false;
  }

  /**
   * Says that the server takes what you write only if it knows who you are, though it may let you read; or that it takes it. Where your token
   * has ended you may not read either, and so hear of it.
   * @param {LingerError | undefined} error undefined: it takes it.
   */
  asksWriter(error) {
    this.#banner.tell("sign-in", error && !this.token && noticeOf(this.#refusalOf(error, words.writingByInvitation)));
  }

  /**
   * What is told of a refusal, and where one can sign in, if that would help.
   * @param {LingerError} error @param {string} forStrangers The title for who has shown no token.
   */
  #refusalOf({ status, problem }, forStrangers) {
    const asks = status === 401;
    const signIn = asks ? /** @type {{ sign_in?: string } | undefined} */ (problem)?.sign_in : undefined;
    const title = !asks ? words.roomClosed : this.token ? words.invitationEnded : forStrangers;
    const why = asks && !this.token || !problem ? "" : `${problem.detail}. `;
    const way = !asks ? words.askOperator : signIn ? "" : words.askForLink;
    return { title, text: why + way, signIn };
  }

  /** Hides what nobody can use who is not in, or shows it again, to go on where one was writing. @param {boolean} closed */
  #close(closed) {
    const foot = byId("foot");
    const gate = byId("gate");
    const scroller = byId("scroller");
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    if (closed && focused && foot.contains(focused)) this.#writing = focused;
    handFocusOn(foot, () => foot.hidden = byId("connection").hidden = closed, () => scroller);
    if (closed) return;
    handFocusOn(gate, () => gate.hidden = true, () => scroller);
    this.#banner.tell("signed-out", undefined);
    if (isFocusFree() || document.activeElement === scroller) this.#writing?.focus();
    this.#writing = undefined;
  }
}

/** A refusal in one line. @param {{ title: string, text: string, signIn: string | undefined }} refusal */
function noticeOf({ title, text, signIn }) {
  return {
    text: `${title}. ${text}`,
    ...signIn && { button: words.signIn, act: () => location.assign(signIn) },
  };
}

/** What a token says, which only the server can verify: whatever else stands there is left out. @param {string} token */
function claimsOf(token) {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (c) => c.charCodeAt(0));
    const { name, sub, exp, read, write, moderate } = JSON.parse(new TextDecoder().decode(bytes));
    return {
      name: textOf(name),
      sub: textOf(sub),
      exp: Number(exp),
      rooms: [...namesOf(read), ...namesOf(write)],
      moderate: namesOf(moderate),
    };
  } catch {
    return { name: "", sub: "", exp: NaN, rooms: [], moderate: [] };
  }
}

/** Whether two tokens say that they are of the same person. @param {string} token @param {string} other */
function ofOne(token, other) {
  const { sub } = claimsOf(token);
  return token === other || sub !== "" && sub === claimsOf(other).sub;
}

/** @param {unknown} claim */
function textOf(claim) {
  return typeof claim === "string" ? claim : "";
}

/** @param {unknown} claim @returns {string[]} */
function namesOf(claim) {
  return [claim].flat().filter((name) => typeof name === "string");
}
