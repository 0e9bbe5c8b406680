// Samples become figures here: medians, ratios of what was measured side by side, and Markdown.
import type { Plot } from "./plots.ts";

/** What one measurement found. */
export interface Findings {
  readonly title: string;
  /** How it was measured, in a sentence or two. */
  readonly text: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly targets: readonly Target[];
  readonly plots?: readonly Plot[];
}

/** What is to be reached. */
export interface Target {
  readonly what: string;
  readonly measured: number;
  readonly bound: { readonly atMost: number } | { readonly atLeast: number };
}

/** The middle of the samples; NaN for none. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The median of the ratios of samples taken in the same round. */
export function ratio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.slice(0, theirs.length).map((sample, round) => sample / theirs[round]!));
}

/** A number with three digits that count. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) >= 100
    ? Math.round(value).toLocaleString("en")
    : value === 0
    ? "0"
    : value.toFixed(Math.max(0, 2 - Math.max(0, Math.floor(Math.log10(Math.abs(value))))));
}

/** A Markdown table; the first column is text, all others figures. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => i === 0 ? "---" : "--:")), ...rows.map(line)].join("\n");
}

/** A measurement as Markdown. */
export function section({ title, text, head, rows, plots = [] }: Findings): string {
  const images = plots.map((plot) => `![${plot.title}](plots/${plot.name}.svg)`);
  return [`### ${title}`, text, table(head, rows), ...images].join("\n\n");
}

/** All targets, and whether they are reached. */
export function targetTable(targets: readonly Target[]): string {
  return table(
    ["target", "measured", "wanted", "reached"],
    targets.map(({ what, measured, bound }) => {
      const reached = "atMost" in bound ? measured <= bound.atMost : measured >= bound.atLeast;
      const wanted = "atMost" in bound ? `≤ ${digits(bound.atMost)}` : `≥ ${digits(bound.atLeast)}`;
      return [what, digits(measured), wanted, reached ? "yes" : "**no**"];
    }),
  );
}
