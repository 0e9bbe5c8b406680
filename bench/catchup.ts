// Reading a long room from its start, beside a program that reads the same rows and does nothing with them.
import { NIL } from "../src/chat/cursor.ts";
import { follow } from "./load.ts";
import type { Rig } from "./rig.ts";
import { start } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

/** Measures catching up. */
export async function measureCatchup(rig: Rig): Promise<Findings> {
  const count = rig.size(1_000_000, 20_000);
  await rig.fill("long", count);
  await using server = await start.Linger(rig);
  const linger = async () => {
    const { pages, ms } = await follow(rig, server.port, "/rooms/long/messages", `?after=${NIL}&limit=1000`);
    if (pages !== count / 1000) throw new Error(`${pages} pages`);
    return count / ms * 1000;
  };
  const reader = async () => {
    const script = new URL("rivals/reader.ts", import.meta.url).pathname;
    const out = await rig.run(Deno.execPath(), ["run", "-A", "--quiet", script, "long"], { DATABASE_URL: rig.url });
    const { rows, ms } = JSON.parse(out);
    if (rows !== count) throw new Error(`${rows} rows`);
    return rows / ms * 1000;
  };
  await linger(); // warms up server and database
  const samples = await rig.interleave({ Linger: linger, reader });
  return {
    title: "Catching up",
    text: `One reader through ${count.toLocaleString("en")} messages in pages of 1,000, following \`Link\`; ` +
      "beside postgres.js in a process of its own, reading the same rows by the same pages.",
    head: ["", "messages/s"],
    rows: [["Linger, over HTTP", digits(median(samples.Linger))], [
      "postgres.js alone",
      digits(median(samples.reader)),
    ]],
    targets: [{
      what: "catching up: Linger / postgres.js alone",
      measured: ratio(samples.Linger, samples.reader),
      bound: { atLeast: 0.8 },
    }],
  };
}
