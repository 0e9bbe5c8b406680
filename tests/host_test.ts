// HOST as people write it: what is said of it has to be a sentence, and the address that is told has to open in a browser.
import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { urlOf } from "../src/host.ts";
import { ConfigError, readConfig } from "../src/config.ts";
import { listen } from "../src/listen.ts";

function config(env: Record<string, string>) {
  const variables: Record<string, string> = { PORT: "0", ...env };
  return readConfig({ get: (name) => variables[name] });
}

const deaf = { lost: () => {} };

/** Listens for a moment; resolves to the URL that is told. */
async function toldBy(HOST: string): Promise<string> {
  const settings = config({ HOST });
  const server = listen(settings, () => undefined, deaf);
  const addr = server.addr as Deno.NetAddr;
  const url = urlOf(settings.HOST, addr);
  assertStringIncludes(url, `:${addr.port}`);
  const response = await fetch(`${url}/healthz`); // as a browser would: what is told is an address
  assertEquals((await response.json()).status, "alive");
  await server.shutdown();
  return url.replace(/\d+$/, "");
}

Deno.test("Every way to write an address of this machine is listened to, and told as one that opens", async () => {
  const told = {
    "127.0.0.1": "http://localhost:",
    "0.0.0.0": "http://localhost:",
    localhost: "http://localhost:",
    LOCALHOST: "http://localhost:",
    "127.0.0.2": "http://127.0.0.2:",
    "127.1": "http://localhost:",
  };
  for (const [host, url] of Object.entries(told)) assertEquals(await toldBy(host), url);
});

Deno.test({
  name: "An IPv6 address is listened to with and without brackets, and told with them",
  ignore: !hasIPv6(),
  fn: async () => {
    for (
      const [host, url] of [["::1", "http://[::1]:"], ["[::1]", "http://[::1]:"], ["0::1", "http://[::1]:"]] as const
    ) {
      assertEquals(await toldBy(host), url);
    }
    for (const host of ["::", "[::]", "::ffff:127.0.0.1"]) assertEquals(await toldBy(host), "http://localhost:");
  },
});

Deno.test("A HOST that is no name and no address is refused before anything starts", () => {
  for (
    const HOST of [
      "localhost:8080",
      "[::1]:80",
      "127.0.0.1/8",
      "a b",
      "*",
      "chat.example/",
      "me@host",
    ]
  ) {
    const error = assertThrows(() => config({ HOST }), ConfigError);
    assertEquals(
      error.message,
      `HOST=${HOST} must be a name or an address alone, such as localhost, 0.0.0.0 or ::, without http:// and without port`,
    );
  }
  // A URL can hold a password, so it is not repeated.
  const { message } = assertThrows(() => config({ HOST: "http://me:secret@host" }), ConfigError);
  assertMatch(message, /^HOST must be/);
});

Deno.test("A HOST that this machine does not have is refused in a sentence, with one thread and with two", () => {
  const refused: Record<string, string> = {
    "no.such.host.invalid": "HOST=no.such.host.invalid is a name for which this machine finds no address",
    "256.1.1.1": "HOST=256.1.1.1 is a name for which this machine finds no address",
    "192.0.2.1": "HOST=192.0.2.1 is no address of this machine; 0.0.0.0 stands for all that it has",
    "2001:db8::1": "HOST=2001:db8::1 is no address of this machine; 0.0.0.0 stands for all that it has",
  };
  for (const [HOST, sentence] of Object.entries(refused)) {
    for (const THREADS of ["1", "2"]) {
      const error = assertThrows(() => listen(config({ HOST, THREADS }), () => undefined, deaf), ConfigError);
      if (HOST.includes(":") && !hasIPv6()) assertStringIncludes(error.message, `HOST=${HOST}`);
      else assertEquals(error.message, sentence);
    }
  }
});

Deno.test("A port that is taken is told, with one thread and with two", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  for (const THREADS of ["1", "2"]) {
    const settings = config({ PORT: `${taken.addr.port}`, THREADS });
    const error = assertThrows(() => listen(settings, () => undefined, deaf), ConfigError);
    assertEquals(
      error.message,
      `PORT=${taken.addr.port} is in use by another program: choose another, such as PORT=9000`,
    );
  }
});

function hasIPv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}
