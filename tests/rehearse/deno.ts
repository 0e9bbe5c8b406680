// The Deno to rehearse with: this one, or one of another version, out of npm.

/** The path of a Deno of this version. */
export async function denoOf(version: string): Promise<string> {
  if (version === Deno.version.deno) return Deno.execPath();
  const { success, stdout, stderr } = await new Deno.Command("npx", {
    args: ["--yes", `deno@${version}`, "eval", "--no-config", "console.log(Deno.execPath())"],
    stdin: "null",
  }).output();
  const [said, complaint] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  if (!success) throw new Error(`npx does not bring Deno ${version}:\n${complaint}`);
  return said!;
}
