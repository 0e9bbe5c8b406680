// Which Linger this is, and on which Deno it runs. Imports nothing: an older Deno has to be able to load it, and a thread, which
// may read nothing but `src`, too.

/** Linger's version, its client's too. deno.json has it as well, for those who publish the client; a test compares the two. */
export const VERSION = "0.2.0";

/**
 * The first Deno that knows all that Linger is written with: text imports, and `stripTypeScriptTypes` of `node:module`. Versions up to
 * 2.6.8 don't begin TLS over a socket that is open already, as PostgreSQL's needs it.
 */
export const OLDEST_DENO = "2.8.2";

/** Why Linger can't run on this version of Deno, in a sentence; undefined where it can. */
export function whyNotOn(deno: string): string | undefined {
  const [have, need] = [deno, OLDEST_DENO].map((version) => version.split(/\D/).map(Number));
  const at = need!.findIndex((part, i) => part !== have![i]);
  if (at < 0 || have![at]! > need![at]!) return undefined;
  return `Linger needs Deno ${OLDEST_DENO} or newer, and this is Deno ${deno}: \`deno upgrade\` brings the newest`;
}
