// What has to hold on Deno Deploy, tried out on a stand-in: instances and a migrator that start at once on an empty database, and
// clients of ours who wait while instance after instance is stopped under them.
import { type ConnectionState, Linger, type Message } from "../../src/client/client.ts";
import { NIL } from "../../src/chat/cursor.ts";
import { until } from "../support/client.ts";
import { subscribe } from "../support/events.ts";
import { Edge, Instance, type Transport } from "./edge.ts";
import type { Revision } from "./revision.ts";

/** Longest time that something may take before it counts as never, in milliseconds. */
const NEVER_MS = 60_000;

/** What came of clients who waited while instances were stopped. */
export interface Silence {
  /** What the clients have seen that they should not have: a gap, a double, another order, a pause after a failure. */
  readonly violations: string[];
  /** How each instance has ended. */
  readonly ends: readonly number[];
  /** What the instances have said. */
  readonly log: string;
}

/**
 * Starts `count` instances while the database is migrated, all at once; resolves to them when all can store messages.
 * @throws when one of them ends, or says so in vain.
 */
export async function startTogether(
  revision: Revision,
  env: Record<string, string>,
  ports: readonly number[],
): Promise<Instance[]> {
  const migrating = revision.predeploy(env);
  const instances = ports.map((port) =>
    new Instance(revision.start(env, `tcp:127.0.0.1:${port}`), { hostname: "127.0.0.1", port })
  );
  try {
    await Promise.all([
      migrating,
      ...ports.map(async (port, i) => {
        (await instances[i]!.connect()).close();
        await until(() => isReady(port), "an instance is ready", NEVER_MS);
      }),
    ]);
  } catch (error) {
    await Promise.all(instances.map((instance) => instance.stop()));
    throw error;
  }
  return instances;
}

/** Lets `clients` clients wait, and each time an instance has been stopped posts one message that all have to get. */
export async function keepSilent(
  revision: Revision,
  env: Record<string, string>,
  { clients, stops, ...options }: { clients: number; stops: number; transport: Transport; idleMs: number },
): Promise<Silence> {
  const edge = new Edge(revision, env, options);
  const violations: string[] = [];
  const ended = new AbortController();
  const room = `silence-${crypto.randomUUID()}`;
  const posted: Message[] = [];
  const seen: Message[][] = [];
  const following: Promise<void>[] = [];
  try {
    const poster = new Linger(edge.url).room(room);
    const post = async (body: string) => {
      const onRetry = ({ problem }: { problem?: unknown }) =>
        violations.push(`Post ${body} had to be repeated: ${JSON.stringify(problem)}`);
      posted.push(await poster.post(body, { onRetry }));
    };
    await post("first");
    for (let i = 0; i < clients; i++) {
      const own: Message[] = [];
      seen.push(own);
      const followed = new Linger(edge.url).room(room);
      followed.connection.subscribe((state: ConnectionState) => {
        if (state.status === "reconnecting") {
          violations.push(`Client ${i} backed off: ${JSON.stringify(state.problem)}`);
        }
      });
      following.push((async () => {
        for await (const message of followed.follow({ after: NIL, signal: ended.signal })) own.push(message);
      })());
    }
    const all = () => seen.every((own) => own.length >= posted.length);
    for (let stop = 1; stop <= stops; stop++) {
      await until(all, `all have message ${posted.length}`, NEVER_MS);
      await until(() => edge.ends.length >= stop, `instance ${stop} is stopped`, NEVER_MS);
      await post(`after ${stop}`);
    }
    await until(all, "all have the last message", NEVER_MS);
  } catch (error) {
    violations.push(`${error}`);
  } finally {
    ended.abort();
    await Promise.all(following);
    await edge[Symbol.asyncDispose]();
  }
  const expected = posted.map(({ id }) => id).join();
  const wrong = seen.filter((own) => own.map(({ id }) => id).join() !== expected).length;
  if (wrong > 0) violations.push(`${wrong} of ${clients} clients have not seen each message once and in order`);
  return { violations, ends: edge.ends, log: edge.logs.join("") };
}

/** Reads an event stream on which nothing happens until there were `signs` signs of life; resolves to how many instances were stopped. */
export async function stayAwake(
  revision: Revision,
  env: Record<string, string>,
  { signs, idleMs }: { signs: number; idleMs: number },
): Promise<number> {
  await using edge = new Edge(revision, env, { transport: "tcp", idleMs });
  await using stream = await subscribe(edge, "quiet");
  await until(() => stream.blocks.filter(({ comment }) => comment !== undefined).length >= signs, "it lives", NEVER_MS);
  return edge.ends.length;
}

async function isReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}
