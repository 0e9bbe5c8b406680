// Takes what a subscriber is given, as a promise.
import type { Entry } from "../../src/chat/page.ts";
import type { Subscriber } from "../../src/chat/subscriptions.ts";

/** What comes next: no entries are a sign of life; undefined where it has ended. Rejects with the error that ended it. */
export function take(subscriber: Subscriber): Promise<readonly Entry[] | undefined> {
  return new Promise((resolve, reject) =>
    subscriber.take({ give: resolve, over: (error) => error === undefined ? resolve(undefined) : reject(error) })
  );
}
