// One of the further threads: what `serve` does, but for the database, which is open and migrated when a thread starts.
import { Chat } from "./chat/chat.ts";
import { poolsOf } from "./database/open.ts";
import { drain } from "./drain.ts";
import { openIdentities } from "./identity/identities.ts";
import { listen } from "./listen.ts";
import { logged, logWithoutWaiting, surviveUncaught } from "./log.ts";
import type { Order, Report, ThreadStart } from "./threads.ts";

/** The first thread, seen from here. */
const first = globalThis as unknown as Worker;

let stop: () => Promise<void>;

async function start({ config, socket }: ThreadStart): Promise<void> {
  const ending = new AbortController();
  const identities = await openIdentities(config, ending.signal);
  const chat = new Chat({ openPool: poolsOf(config, socket) }, config);
  const server = listen(config, () => chat, { join: true, lost: () => report("lost"), identities });
  stop = () => {
    ending.abort();
    return drain(server, chat, config.DRAIN_MS).then(logged);
  };
  logWithoutWaiting();
  surviveUncaught(); // from here on: what fails before is for the first thread to know
}

first.onmessage = async ({ data }: MessageEvent<Order>) => {
  if ("start" in data) await start(data.start);
  else await stop();
  report("done");
};

function report(report: Report): void {
  first.postMessage(report);
}
