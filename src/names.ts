// A setting that is misspelt would be ignored in silence. So whoever may see the names of all variables compares them with
// those of the settings. `serve` may not: it has the right to read its own variables and no others, since the secrets of other
// programs may be among them. So its task runs this file before it, and so does a container: it may read the environment and
// nothing else, and could not send anywhere what it sees.
import { describeSettings, isSetting } from "./config.ts";
import { log } from "./log.ts";

/** Warns of every variable that looks like a setting and is none, where the names of all can be seen. */
export function warnOfNames(): void {
  if (Deno.permissions.querySync({ name: "env" }).state !== "granted") return;
  for (const sentence of misspelt(Object.keys(Deno.env.toObject()))) log("warn", sentence);
}

/** A sentence about each of the names that differs from a setting's by a letter or two, by case, or by `-` for `_`. */
export function misspelt(names: readonly string[]): string[] {
  // What is set by its right name is not meant by another one.
  const unset = describeSettings().map(({ name }) => name).filter((setting) => !names.includes(setting));
  return names.flatMap((name) => {
    const meant = unset.find((setting) => {
      const most = setting.length < 8 ? 1 : 2; // two letters of PORT or HOST are half of it, and other words are near
      const text = name.toUpperCase().replaceAll("-", "_");
      return text[0] === setting[0] && distance(text, setting) <= most; // another beginning is mostly another word
    });
    return meant && !isSetting(name) ? [`${name} is not a setting; did you mean ${meant}?`] : [];
  });
}

/** How many letters have to be left out, put in, replaced, or swapped with their neighbour to make one text of the other. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return Infinity; // far enough
  let [before, last]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        last[j]! + 1,
        row[j - 1]! + 1,
        last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
        i > 1 && j > 1 && swapped ? before[j - 2]! + 1 : Infinity,
      );
    }
    [before, last] = [last, row];
  }
  return last[b.length]!;
}

if (import.meta.main) warnOfNames();
