// Curves, drawn by a program of its own: draw.js says why.

/** Curves over one quantity. */
export interface Plot {
  /** Name of the file. */
  readonly name: string;
  readonly title: string;
  /** What runs along the axis, with its unit. */
  readonly x: string;
  readonly y: string;
  readonly curves: Readonly<Record<string, readonly (readonly [x: number, y: number])[]>>;
  /** Whether the horizontal axis counts powers rather than steps. */
  readonly logarithmic?: boolean;
}

/** Draws plots; returns their SVG texts. */
export async function draw(plots: readonly Plot[]): Promise<string[]> {
  const script = new URL("draw.js", import.meta.url).pathname;
  const args = ["run", "-A", "--quiet", "--no-config", "--no-lock", "--node-modules-dir=none", script];
  const drawing = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
  await new Blob([JSON.stringify(plots)]).stream().pipeTo(drawing.stdin);
  const { success, stdout } = await drawing.output();
  if (!success) throw new Error("The plots could not be drawn");
  return JSON.parse(new TextDecoder().decode(stdout));
}
