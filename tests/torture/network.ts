// Several hosts on one machine: network namespaces, each with a cable to one switch, at which this machine is the first host. Only
// root can make them, on Linux. What is cut here is silent, as when a cable is pulled: nobody is told that a connection is over.
import { has } from "../support/proxies.ts";

/** Addresses for tests of networks (RFC 2544), which no machine has otherwise. The third number is a network's own. */
const PREFIX = "198.18";

/** Why this machine can't have such hosts, in a sentence; undefined where it can. */
export function whyNoHosts(): string | undefined {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "Hosts of their own need Linux, and root";
  const missing = ["ip", "nft", "haproxy", "nginx", "openssl"].filter((program) => !has(program));
  if (missing.length > 0) return `Hosts of their own need programs that are missing here: ${missing.join(", ")}`;
  const name = `linger-${Deno.pid}-try`;
  const made = new Deno.Command("ip", { args: ["netns", "add", name], stderr: "null" }).outputSync().success;
  if (!made) return "This machine lets nobody make network namespaces";
  new Deno.Command("ip", { args: ["netns", "delete", name] }).outputSync();
  return undefined;
}

/** A switch, and hosts at it. */
export class Network implements AsyncDisposable {
  readonly #subnet = `${PREFIX}.${Math.floor(256 * Math.random())}`;
  readonly #bridge = `lg${Deno.pid}`;
  /** The hosts besides this machine. */
  readonly hosts: Host[] = [];

  /**
   * Makes it, with `count` hosts.
   * @throws when this machine doesn't let it; it has to be disposed of all the same.
   */
  async make(count: number): Promise<void> {
    await ip("link", "add", this.#bridge, "type", "bridge");
    await ip("address", "add", `${this.address}/24`, "dev", this.#bridge);
    await ip("link", "set", this.#bridge, "up");
    for (let i = 0; i < count; i++) {
      const cable = `${this.#bridge}-${i}`; // at most 15 characters
      const host = new Host(`linger-${Deno.pid}-${i}`, `${this.#subnet}.${11 + i}`, cable);
      this.hosts.push(host);
      await ip("netns", "add", host.name);
      await ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host.name);
      await ip("link", "set", cable, "master", this.#bridge, "up");
      await ip("-n", host.name, "address", "add", `${host.address}/24`, "dev", "eth0");
      for (const device of ["lo", "eth0"]) await ip("-n", host.name, "link", "set", device, "up");
    }
  }

  /** The address of this machine. */
  get address(): string {
    return `${this.#subnet}.1`;
  }

  /** Takes it down; what runs on its hosts has to be gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of this.hosts) await host.remove();
    await ip("link", "delete", this.#bridge).catch(() => {});
  }
}

/** A host. */
export class Host {
  /** Its name is also that of its namespace. */
  constructor(readonly name: string, readonly address: string, private readonly cable: string) {}

  /** What stands before a command that is to run on it. The command becomes the process: it can be stopped by its number. */
  get enter(): string[] {
    return ["ip", "netns", "exec", this.name];
  }

  /** From now on nothing gets from it to `port` of `address`; all else does. */
  async cut(address: string, port: number): Promise<void> {
    await nft(
      this.name,
      "add table ip cut\nadd chain ip cut output { type filter hook output priority 0; }\n" +
        `add rule ip cut output ip daddr ${address} tcp dport ${port} drop`,
    );
  }

  /** It gets there again. */
  async heal(): Promise<void> {
    await nft(this.name, "delete table ip cut");
  }

  /** Takes it away, as far as it is there. Data that is still to be sent keeps a namespace, but not its cable. */
  async remove(): Promise<void> {
    await ip("link", "delete", this.cable).catch(() => {});
    await ip("netns", "delete", this.name).catch(() => {});
  }

  /** Pulls its cable, or puts it back. */
  async plug(is: "in" | "out"): Promise<void> {
    await ip("link", "set", this.cable, is === "in" ? "up" : "down");
  }
}

function ip(...args: string[]): Promise<void> {
  return run("ip", args);
}

function nft(host: string, rules: string): Promise<void> {
  return run("ip", ["netns", "exec", host, "nft", rules]);
}

async function run(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program} ${args.join(" ")} failed: ${new TextDecoder().decode(stderr).trim()}`);
}
