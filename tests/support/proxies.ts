// The proxies that deploy/ has configurations for, started with these very files. Only places are others here: ports, paths,
// the certificate, and where the servers are; and where a test says so, a limit, so that it is reached in seconds.
import { join } from "node:path";
import { until } from "./client.ts";
import { freePort, projectPath } from "./postgres.ts";

/** A text of a configuration, and what stands there instead. */
export type Change = readonly [from: string | RegExp, to: string];

/** Where everything is in a test. */
interface Places {
  /** A directory of the proxy's own, with cert.pem, key.pem and both.pem. */
  readonly home: string;
  readonly https: number;
  readonly http: number;
}

/** A program that stands in front. */
export interface ProxyKind {
  readonly name: "nginx" | "HAProxy" | "Caddy";
  /** Whether this machine has it. */
  readonly isHere: boolean;
  /** Its configuration, from the project's directory on. */
  readonly file: string;
  /** What has to be different in a test. */
  places(places: Places): Change[];
  /** How it is started with a configuration. */
  command(config: string, home: string): string[];
}

const isRoot = Deno.uid() === 0;

/** Whether this machine has IPv6, as not every one has. */
const hasIpv6 = canListen("::1");

/** All of them. */
export const PROXIES: ProxyKind[] = [
  {
    name: "nginx",
    isHere: has("nginx"),
    file: "deploy/nginx.conf",
    places: ({ home, https, http }) => [
      ...hasIpv6
        ? [["listen [::]:80;", `listen [::1]:${http};`], ["listen [::]:443 ", `listen [::1]:${https} `]] as const
        : [[/^.*listen \[::\].*\n/gm, ""]] as const,
      ["listen 80;", `listen 127.0.0.1:${http};`],
      ["listen 443 ", `listen 127.0.0.1:${https} `],
      ["/etc/letsencrypt/live/chat.example.com/fullchain.pem", `${home}/cert.pem`],
      ["/etc/letsencrypt/live/chat.example.com/privkey.pem", `${home}/key.pem`],
      [/\/var\/log\/nginx/g, home],
      [
        "http {",
        [
          "http {",
          ...["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${home}/${name};`),
        ]
          .join("\n"),
      ],
    ],
    command: (config, home) => ["nginx", "-c", config, "-g", `daemon off; pid ${home}/pid;`],
  },
  {
    name: "HAProxy",
    isHere: has("haproxy"),
    file: "deploy/haproxy.cfg",
    places: ({ home, https, http }) => [
      ["bind :80,[::]:80 v6only", `bind 127.0.0.1:${http}${hasIpv6 ? `,[::1]:${http}` : ""}`],
      ["bind :443,[::]:443 v6only", `bind 127.0.0.1:${https}${hasIpv6 ? `,[::1]:${https}` : ""}`],
      ["/etc/haproxy/chat.example.com.pem", `${home}/both.pem`],
      ["maxconn 30000", "maxconn 3000"], // what a test machine may have of open files
      // Only root can become somebody else.
      ...isRoot ? [] : [[/^ {2}(user|group|chroot) .*\n/gm, ""] as const],
    ],
    command: (config) => ["haproxy", "-db", "-f", config],
  },
  {
    name: "Caddy",
    isHere: has("caddy"),
    file: "deploy/Caddyfile",
    places: ({ home, https, http }) => [
      [/^\{\n/m, `{\nadmin off\nhttp_port ${http}\ndefault_bind 127.0.0.1\n`],
      ["chat.example.com {", `localhost:${https} {`],
      ["# tls /etc/caddy/fullchain.pem /etc/caddy/privkey.pem", `tls ${home}/cert.pem ${home}/key.pem`],
    ],
    command: (config) => ["caddy", "run", "--config", config, "--adapter", "caddyfile"],
  },
];

/** A proxy that runs. */
export interface Proxy extends AsyncDisposable {
  /** Where it speaks TLS, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Where it does not. */
  readonly plainUrl: string;
  /** The certificate that it shows. */
  readonly cert: string;
  /** Ends it, with all its connections, and starts it again. */
  restart(): Promise<void>;
  /** All that it has logged since its last start: of a request a moment after its answer. */
  logged(): Promise<string>;
}

/** Starts a proxy before two servers, with `changes` in its configuration. `beside` is another file of deploy/ that nginx is given. */
export async function startProxy(
  kind: ProxyKind,
  servers: readonly [{ url: string }, { url: string }],
  changes: readonly Change[] = [],
  beside?: string,
): Promise<Proxy> {
  const home = await Deno.makeTempDir({ prefix: "linger-proxy-" });
  await Deno.chmod(home, 0o755); // started by root, it becomes somebody else
  const [https, http] = [freePort(), freePort()];
  const cert = await certificateIn(home);
  const upstreams = servers.map(({ url }, i) => [`127.0.0.1:${8080 + i}`, new URL(url).host] as const);
  let text = await Deno.readTextFile(projectPath(kind.file));
  const more = beside ? await Deno.readTextFile(projectPath(beside)) : "";
  const included: Change[] = kind.name === "nginx"
    ? [[/include \S*conf\.d\S*;/, more.replaceAll("/var/cache", home)]]
    : [];
  for (const [from, to] of [...included, ...changes, ...upstreams, ...kind.places({ home, https, http })]) {
    const changed = text.replace(from, () => to);
    if (changed === text) throw new Error(`There is no ${from} in ${kind.file}`);
    text = changed;
  }
  const config = join(home, "config");
  await Deno.writeTextFile(config, text);

  const listens = () =>
    Deno.connect({ hostname: "127.0.0.1", port: https }).then((open) => (open.close(), true), () => false);
  let running = await launch(kind, config, home, listens).catch(async (error) => {
    await Deno.remove(home, { recursive: true });
    throw error;
  });
  return {
    url: `https://localhost:${https}`,
    port: https,
    plainUrl: `http://localhost:${http}`,
    cert,
    restart: async () => {
      await running.stop();
      running = await launch(kind, config, home, listens);
    },
    logged: async () => {
      const names = await Array.fromAsync(Deno.readDir(home), ({ name }) => name);
      const files = names.filter((name) => name.endsWith(".log")).map((name) => Deno.readTextFile(join(home, name)));
      return [running.said(), ...await Promise.all(files)].join("\n");
    },
    [Symbol.asyncDispose]: async () => {
      await running.stop();
      await Deno.remove(home, { recursive: true });
    },
  };
}

/** Starts the program; resolves when it listens. */
async function launch(
  kind: ProxyKind,
  config: string,
  home: string,
  listens: () => Promise<boolean>,
): Promise<{ stop(): Promise<void>; said(): string }> {
  const [command, ...args] = kind.command(config, home);
  const child = new Deno.Command(command!, {
    args,
    env: { HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let said = "";
  let over = false;
  const reading = (async () => {
    for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) said += part;
  })();
  child.status.then(() => over = true);
  const stop = async () => {
    if (!over) child.kill("SIGTERM");
    await child.status;
    await reading;
  };
  try {
    await until(async () => {
      if (over) throw new Error(`${kind.name} has ended`);
      return await listens();
    }, `${kind.name} listens`);
    return { stop, said: () => said };
  } catch (error) {
    await stop();
    throw new Error(`${kind.name} does not start:\n${said}`, { cause: error });
  }
}

/** Makes a certificate for localhost, which is its own authority; returns it. */
async function certificateIn(home: string): Promise<string> {
  const [cert, key] = [join(home, "cert.pem"), join(home, "key.pem")];
  const { success, stderr } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
      ...[
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost,IP:::1",
        "-addext",
        "basicConstraints=CA:FALSE",
      ],
      ...["-keyout", key, "-out", cert],
    ],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const texts = await Promise.all([cert, key].map((path) => Deno.readTextFile(path)));
  await Deno.writeTextFile(join(home, "both.pem"), texts.join(""));
  return texts[0]!;
}

function canListen(hostname: string): boolean {
  try {
    Deno.listen({ hostname, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/** Whether this machine has a program. */
export function has(program: string): boolean {
  return new Deno.Command("sh", { args: ["-c", 'command -v "$0"', program], stdout: "null" }).outputSync().success;
}
