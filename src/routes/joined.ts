// One file of many: the page's modules that are needed at once, so that a browser asks for one and not for thirty, on six connections or on
// a slow one. A module becomes a function that gives out what it exports. It is no bundler: it takes the few forms of import and export
// that the page's modules have, and throws at any other. What is imported by `import()` stays a file of its own, and takes what it shares
// with the page from the page.

/** Sources by their paths. */
export type Sources = Readonly<Record<string, string>>;

const IMPORT = /^import (?:\{([^}]*)\}|\* as (\w+)) from "([^"]+)";$/gm;
const EXPORT = /^export (?=(?:async )?(?:class|function|const) (\w+))/gm;

/**
 * The module at `entry` and those of its folder that it needs, as one.
 * @throws {Error} where modules import each other in a circle, or in a form that is not known.
 */
export function joined(entry: string, sources: Sources): string {
  const outer = new Map<string, string>();
  const parts: string[] = [];
  const modules = modulesOf(entry, sources);
  for (const path of modules) {
    const names: string[] = [];
    const body = plain(
      path,
      sources[path]!.replace(IMPORT, (_, names, all, from) => {
        const target = resolve(path, from);
        if (!modules.includes(target)) outer.set(target, from);
        return taken(names, all, variable(target));
      }).replace(EXPORT, (_, name) => (names.push(name), "")),
    );
    parts.push(
      path === entry ? body : `const ${variable(path)} = (() => {\n${body}\nreturn { ${names.join(", ")} };\n})();`,
    );
  }
  const imports = [...outer].map(([path, from]) => `import * as ${variable(path)} from "${from}";`);
  const shared = modules.filter((path) => path !== entry).map(variable);
  return [...imports, ...parts, `export { ${shared.join(", ")} };`].join("\n");
}

/** A module that comes later, with what is in the joined file taken from there: there is one of each. */
export function besideJoined(path: string, entry: string, sources: Sources): string {
  const modules = modulesOf(entry, sources);
  if (modules.includes(path)) return sources[path]!;
  return sources[path]!.replace(IMPORT, (whole, names, all, from) => {
    const target = resolve(path, from);
    if (!modules.includes(target)) return whole;
    return `import { ${variable(target)} } from "./${entry.split("/").at(-1)}";\n${
      taken(names, all, variable(target))
    }`;
  });
}

/** What a module of this folder needs, itself the last. */
function modulesOf(entry: string, sources: Sources): string[] {
  const done: string[] = [];
  const visit = (path: string, above: string[]) => {
    if (done.includes(path)) return;
    if (above.includes(path)) throw new Error(`Modules in a circle: ${[...above, path].join(" → ")}`);
    for (const [, , , from] of sources[path]!.matchAll(IMPORT)) {
      const target = resolve(path, from!);
      if (folder(target) === folder(entry)) visit(target, [...above, path]);
    }
    done.push(path);
  };
  visit(entry, []);
  return done;
}

function taken(names: string | undefined, all: string | undefined, from: string): string {
  return all ? `const ${all} = ${from};` : `const {${names!.replace(/ as /g, ": ")}} = ${from};`;
}

function plain(path: string, body: string): string {
  const [unknown] = body.match(/^(?:import|export)\b(?!\().*/m) ?? [];
  if (unknown) throw new Error(`${path}: ${unknown}`);
  return body;
}

function resolve(path: string, from: string): string {
  return new URL(from, `file://${path}`).pathname;
}

function folder(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/** What a module is called in the joined file: of one folder, its name is enough. */
function variable(path: string): string {
  const name = path.endsWith(".js") ? path.slice(path.lastIndexOf("/"), -".js".length) : path;
  return name.replace(/\W/g, "$");
}
