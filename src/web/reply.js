// @ts-check
// Says above the composer which message one is about to answer, until it is sent, or one thinks better of it.
import { byId, element } from "./element.js";
import { summary } from "./quotes.js";
import * as words from "./words.js";

/** @import { Seen } from "./message-row.js" */

export class Reply {
  #composer = byId("composer");
  #text = byId("text");
  #bar = element("p", { id: "replying", hidden: true });
  /** The id of the message that is answered; "" for none. */
  #to = "";

  constructor() {
    this.#composer.prepend(this.#bar);
    this.#text.addEventListener("keydown", (event) => event.key === "Escape" && !event.isComposing && this.end());
  }

  /** @param {Seen} message */
  begin(message) {
    this.#to = message.id;
    const stop = element("button", {
      type: "button",
      textContent: "×",
      title: words.noReply,
      ariaLabel: words.noReply,
    });
    stop.addEventListener("click", () => {
      this.end();
      this.#text.focus();
    });
    this.#bar.replaceChildren(
      element("span", { className: "what" }, words.replyTo, ...summary(message)),
      stop,
    );
    this.#bar.hidden = false;
    this.#text.focus();
  }

  /** Ends it; returns which message was to be answered, "" for none. */
  end() {
    const to = this.#to;
    this.#to = "";
    this.#bar.hidden = true;
    return to;
  }
}
