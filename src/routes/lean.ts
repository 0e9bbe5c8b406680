// Files as browsers need them: without types, which they don't know, and without what is there for readers alone.
import { stripTypeScriptTypes } from "node:module";

/** A source as it is sent; `ending` is that of its path. */
export function forBrowsers(source: string, ending: string): string {
  if (ending === ".svg" || ending === ".webmanifest") return source;
  if (ending === ".ts") return untyped(source);
  if (ending === ".mjs") return untyped(source).replaceAll(/from "(.*)\.ts"/g, 'from "$1.mjs"');
  if (ending === ".css") return lean(source).replace(/(?<=[{};,])\n/g, "").replace(/ (?={)|(?<=[:,]) /g, "");
  // Types among the code, comments behind it and in empty blocks.
  return lean(source).replace(/\/\*\* @[^*]*\*\/ |(?<={) \/\* [^*]*\*\/ (?=})/g, "")
    .replace(/(?<=[;{}]) \/\/ [^"'`\n]*$/gm, "");
}

/** Where types stood, blanks are left. */
function untyped(source: string): string {
  return lean(stripTypeScriptTypes(source)).replace(/ {2,}/g, " ");
}

/** A source without its comments that stand alone and its indentation: those are for its readers, and half of its size. */
function lean(source: string): string {
  const alone = /^[ \t]*(?:\/\/.*|\/\*(?:[^*]|\*(?!\/))*\*\/[ \t]*)$/gm;
  return source.replace(alone, "").replace(/[ \t]*\n\s*/g, "\n").trim();
}
