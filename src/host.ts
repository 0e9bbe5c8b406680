// Hosts as people write them: whether one is this machine, what can be wrong with HOST and PORT, and the URL that leads there.
import { isIP, isIPv6 } from "node:net";
import { type Config, ConfigError } from "./config.ts";
import { reasonOf } from "./reason.ts";

/** What `HOST` and `PORT` say. */
type Place = Pick<Config, "HOST" | "PORT">;

/** Whether only this machine can reach what listens on `host`, however that is written. */
export function isLoopback(host: string): boolean {
  const name = plain(host);
  // 127.1 is an address; 127.example.com is anybody's name.
  if (/^(localhost|ip6-localhost|ip6-loopback|.*\.localhost|127(\.\d+){1,3})$/.test(name)) return true;
  // ::1, and 127.0.0.0/8 as IPv6 has it.
  return isIP(name) === 6 && /^\[::(1|ffff:7f[\da-f]{2}:.*)\]$/.test(URL.parse(`http://[${name}]`)?.hostname ?? "");
}

/** A host's name as it is compared. */
export function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/** What a browser on this machine opens, where a server listens on `host`, which the system has understood as `address`. */
export function urlOf(host: string, { hostname, port }: { hostname: string; port: number }): string {
  // Browsers take neither 0.0.0.0 nor ::, which stand for all addresses of the machine; and Linger is not asked by an IPv4 address in
  // IPv6's form.
  if (["0.0.0.0", "::", "127.0.0.1", "::ffff:127.0.0.1"].includes(hostname)) return `http://localhost:${port}`;
  const name = isIP(host) ? hostname : host;
  return `http://${isIPv6(name) ? `[${name}]` : name}:${port}`;
}

/**
 * Why a server can't listen where the settings say.
 * @internal
 */
export function whyNotListening(error: unknown, { HOST, PORT }: Place): ConfigError {
  return new ConfigError(sentence(error, HOST, PORT), { cause: error });
}

function sentence(error: unknown, host: string, port: number): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return `PORT=${port} is in use by another program: choose another, such as PORT=9000`;
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return `HOST=${host} is no address of this machine; 0.0.0.0 stands for all that it has`;
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return `PORT=${port} can't be had by this user: choose one from 1024 on, below which a system may ask for root`;
  }
  const reason = reasonOf(error);
  if (/lookup/.test(reason)) return `HOST=${host} is a name for which this machine finds no address`;
  return `Linger can't listen at HOST=${host} PORT=${port}: ${reason}`;
}
