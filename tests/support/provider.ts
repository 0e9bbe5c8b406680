// An identity provider for the tests: it has keys, signs tokens with them, and can be away.
import { exportJWK } from "jose/key/export";
import { generateKeyPair } from "jose/key/generate/keypair";
import { SignJWT } from "jose/jwt/sign";

/** An identity provider: an address with keys, which can be away. */
export class Provider implements AsyncDisposable {
  keys: unknown[] = [];
  away = false;
  asked = 0;
  readonly #server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
    this.asked++;
    return this.away ? new Response("away", { status: 500 }) : Response.json({ keys: this.keys });
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/jwks.json`;
  }

  /** Makes a key pair, and returns what signs with it; it is among the keys from now on. */
  async key(alg: string, kid?: string): Promise<(claims: Record<string, unknown>) => Promise<string>> {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    this.keys.push({ ...await exportJWK(publicKey), alg, ...kid && { kid } });
    return (claims) =>
      new SignJWT({
        iss: "idp",
        aud: "chat",
        sub: "ada",
        exp: Math.floor(Date.now() / 1000) + 60,
        read: ["*"],
        ...claims,
      })
        .setProtectedHeader({ alg, ...kid && { kid } }).sign(privateKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
