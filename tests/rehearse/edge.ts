// What stands before the instances, as far as Deno Deploy's documents tell: the first request starts one; after a while without a
// byte in either direction it gets SIGINT, and SIGKILL five seconds later. Whoever comes meanwhile comes to the next.
import { join } from "node:path";
import { within } from "../../src/sleep.ts";
import type { Revision } from "./revision.ts";

/** Milliseconds between SIGINT and SIGKILL. */
const GRACE_MS = 5_000;

/** Milliseconds between two tries to reach an instance that starts. */
const PAUSE_MS = 5;

/** How an instance is told where to listen. */
export type Transport = "tcp" | "unix";

/** An instance, from its start to its end. */
export class Instance {
  log = "";
  readonly ended: Promise<Deno.CommandStatus>;
  #over = false;

  constructor(
    readonly child: Deno.ChildProcess,
    private readonly target: Deno.ConnectOptions | Deno.UnixConnectOptions,
  ) {
    const reading = (async () => {
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) this.log += text;
    })();
    this.ended = child.status.then(async (status) => {
      this.#over = true;
      await reading;
      return status;
    });
  }

  /** Connects to it as soon as it listens. */
  async connect(): Promise<Deno.Conn> {
    while (!this.#over) {
      try {
        return await ("path" in this.target ? Deno.connect(this.target) : Deno.connect(this.target));
      } catch {
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
    await this.ended;
    throw new Error(`The instance has ended:\n${this.log}`);
  }

  /** Stops it as the platform does; resolves to its status. */
  async stop(): Promise<Deno.CommandStatus> {
    if (!this.#over) this.child.kill("SIGINT");
    await within(this.ended, GRACE_MS);
    if (!this.#over) this.child.kill("SIGKILL");
    return await this.ended;
  }
}

/** The platform's side of an application: one address for all, and instances behind it as they are needed. */
export class Edge implements AsyncDisposable {
  /** How each instance that was stopped has ended: 0, or another status. */
  readonly ends: number[] = [];
  /** What has been said by all of them. */
  readonly logs: string[] = [];
  #instance: Instance | undefined;
  #number = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #stopping: Promise<void> = Promise.resolve();
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #relays = new Set<Promise<void>>();
  readonly #connections = new Set<Deno.Conn>();
  readonly #accepting: Promise<void>;

  constructor(
    private readonly revision: Revision,
    private readonly env: Record<string, string>,
    private readonly options: { readonly transport: Transport; readonly idleMs: number },
  ) {
    this.#accepting = this.#accept();
  }

  /** The application's address. */
  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    this.#stop();
    await this.#stopping;
    for (const connection of this.#connections) close(connection);
    await Promise.all(this.#relays);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const relay = this.#relay(client).catch(() => {}).finally(() => this.#relays.delete(relay));
      this.#relays.add(relay);
    }
  }

  async #relay(client: Deno.Conn): Promise<void> {
    this.#connections.add(client);
    let server: Deno.Conn | undefined;
    try {
      const instance = this.#instance ??= this.#start();
      server = await instance.connect();
      this.#connections.add(server);
      await Promise.race([this.#copy(client, server, instance), this.#copy(server, client, instance)]);
    } finally {
      for (const connection of [client, server]) {
        if (!connection) continue;
        close(connection);
        this.#connections.delete(connection);
      }
    }
  }

  async #copy(from: Deno.Conn, to: Deno.Conn, instance: Instance): Promise<void> {
    const buffer = new Uint8Array(65_536);
    for (let read; (read = await from.read(buffer).catch(() => null)) !== null;) {
      this.#sign(instance);
      for (let sent = 0; sent < read;) sent += await to.write(buffer.subarray(sent, read));
    }
  }

  /** A byte has passed: whoever is silent from now on is idle later. The last bytes of the one before say nothing of the next, which starts. */
  #sign(instance: Instance): void {
    if (instance !== this.#instance) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#stop(), this.options.idleMs);
  }

  #start(): Instance {
    const [address, target] = this.#address();
    return new Instance(this.revision.start(this.env, address), target);
  }

  #address(): [string, Deno.ConnectOptions | Deno.UnixConnectOptions] {
    if (this.options.transport === "unix") {
      const path = join(this.revision.sockets, `${this.#number++}.sock`);
      return [`unix:${path}`, { transport: "unix", path }];
    }
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    return [`tcp:127.0.0.1:${port}`, { hostname: "127.0.0.1", port }];
  }

  #stop(): void {
    clearTimeout(this.#idle);
    const instance = this.#instance;
    this.#instance = undefined;
    if (!instance) return;
    const before = this.#stopping;
    this.#stopping = instance.stop().then(async ({ code }) => {
      this.ends.push(code);
      this.logs.push(instance.log);
      await before;
    });
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch { /* it is closed */ }
}
