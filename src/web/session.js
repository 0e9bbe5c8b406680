// @ts-check
// Who you are where a server asks for a token. It comes with an invitation link, in the part of the address that no browser sends
// anywhere; it is kept in this browser, and forgotten when you sign out.
import { byId, element } from "./element.js";
import { isRoomName } from "./rooms.js";

/** @import { LingerError } from "../client/client.ts" */
/** @import { Memory } from "./memory.js" */

const LINK = "#token=";

export class Session {
  #memory;

  /** @param {Memory} memory */
  constructor(memory) {
    this.#memory = memory;
    this.accept();
    byId("sign-out").addEventListener("click", () => {
      memory.token = memory.name = "";
      location.reload();
    });
  }

  /** Takes the token out of the address, if there is one; returns whether there was. */
  accept() {
    if (!location.hash.startsWith(LINK)) return false;
    this.#memory.token = location.hash.slice(LINK.length);
    if (this.#claims.name) this.#memory.name = this.#claims.name;
    const room = [...this.#claims.read ?? [], ...this.#claims.write ?? []].find(isRoomName);
    history.replaceState(null, "", room ? `#${room}` : location.pathname + location.search);
    return true;
  }

  /** What goes with each request. */
  get token() {
    return this.#memory.token || undefined;
  }

  /** Says who you are, as the token has it; a name in it is not yours to change. */
  show() {
    byId("sign-out").hidden = !this.token;
    byId("rename").hidden = this.#claims.name !== undefined;
    this.#close(false);
  }

  /** Says why the server does not let you in, and what to do. @param {LingerError} error */
  refused({ status, problem }) {
    const signIn = /** @type {{ sign_in?: string } | undefined} */ (problem)?.sign_in;
    const asks = status === 401;
    const title = !asks
      ? "This room is not open to you"
      : this.token
      ? "Your invitation holds no more"
      : "This chat is by invitation";
    const why = asks && !this.token ? "" : `${problem?.detail ?? ""}. `;
    const way = !asks ? "Ask whoever runs this chat." : signIn ? "" : "Ask for a new link, and open it here.";
    byId("gate").replaceChildren(
      element("h2", { textContent: title }),
      element("p", { textContent: why + way }),
      ...asks && signIn ? [element("a", { href: signIn, textContent: "Sign in" })] : [],
    );
    byId("empty").hidden = true;
    this.#close(true);
  }

  /** Shows the gate in place of what nobody can use who is not in. @param {boolean} closed */
  #close(closed) {
    byId("gate").hidden = !closed;
    byId("foot").hidden = byId("connection").hidden = closed;
  }

  /** What the token says, which only the server can verify. @returns {{ name?: string, read?: string[], write?: string[] }} */
  get #claims() {
    try {
      const payload = this.#memory.token.split(".")[1] ?? "";
      const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
      return JSON.parse(new TextDecoder().decode(bytes)) ?? {};
    } catch {
      return {};
    }
  }
}
