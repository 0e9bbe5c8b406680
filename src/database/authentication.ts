// How we prove who we are. The driver could, but not with channel binding, on which some hosters' URLs insist, nor with
// passwords beyond ASCII; and where it can't, it says nothing until its time is up.
import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2, randomBytes, X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import type { Address, Host } from "./address.ts";
import { int32, message, protocolError } from "./conversation.ts";
import { Unusable } from "./unusable.ts";

/** Who we are, and how that may be proven. */
export interface Login extends Pick<Address, "user" | "methods" | "channelBinding">, Pick<Host, "password"> {
  /** The server's certificate, in DER; undefined without TLS. */
  readonly certificate: Uint8Array | undefined;
}

const PASSWORD = 3, MD5 = 5, SASL = 10, SASL_CONTINUE = 11, SASL_FINAL = 12, OK = 0;

const OTHERS: Record<number, string> = { 2: "Kerberos", 7: "GSSAPI", 8: "GSSAPI", 9: "SSPI" };

/** Answers one server's questions. */
export class Authentication {
  /** Whether the server has let us in, and so has nothing more to ask. */
  done = false;
  #method = "none";
  #scram: Scram | undefined;

  /** For one connection. */
  constructor(private readonly login: Login) {}

  /**
   * What to say to a question of the server, if anything.
   * @throws {Unusable} when it asks for what we can't or may not give, or is not the server that knows our password.
   */
  async answer(question: Buffer): Promise<Buffer | undefined> {
    if (this.done) throw protocolError();
    const kind = question.readUInt32BE(0);
    const rest = question.subarray(4);
    switch (kind) {
      case PASSWORD:
        return message("p", this.#password("password"));
      case MD5: {
        const password = this.#password("md5");
        return message("p", `md5${md5(md5(password + this.login.user), rest.subarray(0, 4))}`);
      }
      case SASL: {
        const offered = rest.toString().split("\0");
        if (!offered.includes("SCRAM-SHA-256")) break;
        const password = this.#password("scram-sha-256");
        this.#scram = new Scram(password, this.#binding(offered));
        return this.#scram.begin();
      }
      case SASL_CONTINUE:
        if (!this.#scram) throw protocolError();
        return await this.#scram.prove(rest.toString());
      case SASL_FINAL:
        if (this.#scram?.check(rest.toString())) return undefined;
        throw new Unusable(
          "SCRAM",
          "person",
          "The server does not know the password itself: see that it is the right one",
        );
      case OK:
        this.#allow(this.#method);
        if (this.#scram && !this.#scram.checked) throw protocolError();
        if (this.login.channelBinding && !this.#scram?.bound) this.#refuseUnbound();
        this.done = true;
        return undefined;
    }
    const way = OTHERS[kind] ?? "a way to log in that Linger does not know";
    throw new Unusable(
      "METHOD",
      "person",
      `The server asks user ${this.login.user} for ${way}: let it ask for a password`,
    );
  }

  #password(method: string): string {
    this.#method = method;
    this.#allow(method);
    if (this.login.channelBinding && method !== "scram-sha-256") this.#refuseUnbound();
    if (this.login.password !== undefined) return this.login.password;
    throw new Unusable(
      "NO_PASSWORD",
      "person",
      `The server asks user ${this.login.user} for a password, and there is none: put it into DATABASE_URL or PGPASSWORD`,
    );
  }

  #allow(method: string): void {
    if (!this.login.methods || this.login.methods.has(method)) return;
    const asked = method === "none" ? "no password" : `a password by the method ${method}`;
    throw new Unusable("METHOD", "person", `The server asks for ${asked}, which require_auth does not let Linger give`);
  }

  /** What binds the proof to this connection, where that is wanted. */
  #binding(offered: readonly string[]): Uint8Array | undefined {
    const { certificate, channelBinding } = this.login;
    if (!channelBinding) return undefined;
    if (!certificate || !offered.includes("SCRAM-SHA-256-PLUS")) return this.#refuseUnbound();
    // RFC 5929: by the hash of its signature, but never a weaker one than SHA-256.
    const { signatureAlgorithm = "" } = new X509Certificate(certificate) as { signatureAlgorithm?: string };
    const [hash] = signatureAlgorithm.toLowerCase().match(/md5|sha(1|224|256|384|512)/) ?? [];
    if (!hash) return this.#refuseUnbound();
    return createHash(/md5|sha1/.test(hash) ? "sha256" : hash).update(certificate).digest();
  }

  #refuseUnbound(): never {
    throw new Unusable(
      "CHANNEL_BINDING",
      "person",
      "channel_binding=require can't be kept with this server, which needs TLS and a scram-sha-256 password for it: " +
        "change that there, or take sslmode=verify-full instead",
    );
  }
}

/** SCRAM-SHA-256 (RFC 7677): both sides show that they know the password, and neither says it. */
class Scram {
  /** Whether the server has shown that it knows the password. */
  checked = false;
  readonly bound: boolean;
  readonly #header: string;
  readonly #first = `n=,r=${randomBytes(18).toString("base64")}`;
  #signature: Buffer | undefined;

  constructor(private readonly password: string, private readonly binding: Uint8Array | undefined) {
    this.bound = binding !== undefined;
    this.#header = binding ? "p=tls-server-end-point,," : "n,,";
  }

  begin(): Buffer {
    const first = Buffer.from(this.#header + this.#first);
    return message("p", this.bound ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256", int32(first.length), first);
  }

  async prove(serverFirst: string): Promise<Buffer> {
    const { r = "", s = "", i = "" } = attributes(serverFirst);
    if (!`n=,r=${r}`.startsWith(this.#first)) throw protocolError();
    const binding = Buffer.concat([Buffer.from(this.#header), this.binding ?? Buffer.alloc(0)]);
    const final = `c=${binding.toString("base64")},r=${r}`;
    const all = [this.#first, serverFirst, final].join();
    const salted = await promisify(pbkdf2)(prepared(this.password), Buffer.from(s, "base64"), Number(i), 32, "sha256");
    const key = hmac(salted, "Client Key");
    const signature = hmac(createHash("sha256").update(key).digest(), all);
    this.#signature = hmac(hmac(salted, "Server Key"), all);
    const proof = Buffer.from(key.map((byte, at) => byte ^ signature[at]!)).toString("base64");
    return message("p", Buffer.from(`${final},p=${proof}`));
  }

  check(serverFinal: string): boolean {
    // Without our proof there is no signature to compare with.
    return this.checked = this.#signature !== undefined &&
      this.#signature.toString("base64") === attributes(serverFinal).v;
  }
}

function attributes(text: string): Record<string, string> {
  return Object.fromEntries(text.split(",").map((part) => [part[0], part.slice(2)]));
}

/** As the server has prepared it (RFC 4013): one form for what looks the same. */
function prepared(password: string): string {
  return password
    .replace(/[\u00ad\u034f\u1806\u180b-\u180d\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]/g, "")
    .replace(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g, " ")
    .normalize("NFKC");
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function md5(text: string, salt: Uint8Array = Buffer.alloc(0)): string {
  return createHash("md5").update(text).update(salt).digest("hex");
}
