// @ts-check
// Says above the composer which message one is about to answer, until it is sent, or one thinks better of it.
import { byId, element } from "./element.js";
import { said } from "./quotes.js";
import * as words from "./words.js";

/** @import { Deletion, Message } from "../client/client.ts" */
/** @import { Seen } from "./message-row.js" */
/** @import { Session } from "./session.js" */

export class Reply {
  #composer = byId("composer");
  #session;
  #unwanted;
  #text = byId("text");
  #bar = element("p", { id: "replying", hidden: true });
  #what = element("span", { className: "what" });
  /** The id of the message that it shows; "" for none. */
  to = "";

  /** @param {Session} session @param {() => void} unwanted One thinks better of it. */
  constructor(session, unwanted) {
    this.#session = session;
    this.#unwanted = unwanted;
    this.#composer.prepend(this.#bar);
  }

  /** @param {Seen} message */
  begin(message) {
    this.to = message.id;
    const stop = element("button", {
      type: "button",
      textContent: "×",
      title: words.noReply,
      ariaLabel: words.noReply,
    });
    stop.addEventListener("click", () => {
      this.#unwanted();
      this.#text.focus();
    });
    this.#show(message);
    this.#bar.replaceChildren(this.#what, stop);
    this.#bar.hidden = false;
  }

  /** A message is not what it was: what is shown of it is what it says now, nothing if it was deleted. @param {Message | Deletion} news */
  became(news) {
    if (news.id === this.to) this.#show("deleted" in news ? undefined : news);
  }

  /** @param {Seen | undefined} original */
  #show(original) {
    this.#what.replaceChildren(words.replyTo, ...said(original, this.#session.me));
  }

  end() {
    this.to = "";
    this.#bar.hidden = true;
  }
}
