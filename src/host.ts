// HOST and PORT as people write them: what can be wrong with them, and the URL that leads there.
import { isIP, isIPv6 } from "node:net";
import { type Config, ConfigError } from "./config.ts";

/** What `HOST` and `PORT` say. */
type Place = Pick<Config, "HOST" | "PORT">;

/** What a browser on this machine opens, where a server listens on `host`, which the system has understood as `address`. */
export function urlOf(host: string, { hostname, port }: { hostname: string; port: number }): string {
  // Browsers take neither 0.0.0.0 nor ::, which stand for all addresses of the machine.
  if (["0.0.0.0", "::", "127.0.0.1"].includes(hostname)) return `http://localhost:${port}`;
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
  const reason = error instanceof Error ? error.message : `${error}`;
  if (/lookup/.test(reason)) return `HOST=${host} is a name for which this machine finds no address`;
  return `Linger can't listen at HOST=${host} PORT=${port}: ${reason}`;
}
