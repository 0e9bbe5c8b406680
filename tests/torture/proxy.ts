// A bad network: a TCP proxy that can cut, stall, delay and trickle what goes through it.
import { sleep } from "../../src/sleep.ts";

/**
 * How a proxy treats what goes through it: `pass` at once; `refuse` ends every connection, old and new; `stall` takes
 * everything and passes nothing on, as when a cable is pulled; `delay` passes each chunk on late; `trickle` in small bits.
 */
export type Weather = "pass" | "refuse" | "stall" | "delay" | "trickle";

const DELAY_MS = 150;
const BIT_BYTES = 7;
const BIT_MS = 3;

/** A proxy on a port of its own in front of a port of this machine. */
export class Proxy implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #serving: Promise<void>;
  #weather: Weather = "pass";
  #changed = Promise.withResolvers<void>();

  /** Begins at once, in fair weather. */
  constructor(private readonly target: () => number) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#serving = this.#serve();
  }

  /** The port to connect to. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Changes the weather for all connections, those that stand too. */
  set weather(weather: Weather) {
    this.#weather = weather;
    if (weather === "refuse") this.cut();
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Ends the connections that stand; new ones are welcome. */
  cut(): void {
    for (const connection of this.#connections) close(connection);
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.weather = "refuse";
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const pairs = new Set<Promise<void>>();
    for await (const client of this.#listener) {
      if (this.#weather === "refuse") {
        close(client);
        continue;
      }
      const pair = this.#pair(client).finally(() => pairs.delete(pair));
      pairs.add(pair);
    }
    await Promise.all(pairs);
  }

  async #pair(client: Deno.TcpConn): Promise<void> {
    const server = await Deno.connect({ hostname: "127.0.0.1", port: this.target() }).catch(() => undefined);
    if (!server) return close(client);
    this.#connections.add(client).add(server);
    client.setNoDelay(true);
    server.setNoDelay(true);
    const end = () => {
      close(client);
      close(server);
    };
    await Promise.all([this.#pump(client, server).finally(end), this.#pump(server, client).finally(end)]);
    this.#connections.delete(client);
    this.#connections.delete(server);
  }

  async #pump(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (let read; (read = await from.read(buffer)) !== null;) {
        while (this.#weather === "stall") await this.#changed.promise;
        if (this.#weather === "delay") await sleep(DELAY_MS);
        for (let at = 0; at < read;) {
          const bit = this.#weather === "trickle" ? BIT_BYTES : read;
          at += await to.write(buffer.subarray(at, Math.min(at + bit, read)));
          if (this.#weather === "trickle") await sleep(BIT_MS);
        }
      }
    } catch { /* one side is gone; the other learns it by being closed */ }
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch { /* closed already */ }
}
