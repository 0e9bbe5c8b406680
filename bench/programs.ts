// The programs that the rig needs besides Deno. It installs nothing: it says what is missing, and which Debian packages
// bring it.

/** Where the programs are. */
export interface Programs {
  readonly gcc: string;
  readonly nginx: string;
  readonly nchan: string;
  readonly pgbench: string;
  readonly pushpin: string;
}

/** The message says what to type. */
export class MissingPrograms extends Error {}

/** Finds them. */
export async function findPrograms(): Promise<Programs> {
  const path = (Deno.env.get("PATH") ?? "").split(":").concat("/usr/sbin");
  const versions = "/usr/lib/postgresql";
  const debian = (await Array.fromAsync(Deno.readDir(versions)).catch(() => []))
    .map(({ name }) => name).sort((a, b) => Number(b) - Number(a)).map((name) => `${versions}/${name}/bin`);
  const wanted = {
    gcc: { places: path, file: "gcc", packages: "gcc" },
    headers: { places: ["/usr/include"], file: "stdio.h", packages: "libc6-dev" },
    nginx: { places: path, file: "nginx", packages: "nginx" },
    nchan: { places: ["/usr/lib/nginx/modules"], file: "ngx_nchan_module.so", packages: "libnginx-mod-nchan" },
    pushpin: { places: path, file: "pushpin", packages: "pushpin" },
    // Those of a version first: Debian's own in /usr/bin is a Perl script that looks for one of them.
    pgbench: { places: [...debian, ...path], file: "pgbench", packages: "postgresql" },
  };
  const found: Record<string, string> = {};
  const missing: string[] = [];
  for (const [name, { places, file, packages }] of Object.entries(wanted)) {
    const place = await firstThatExists(places.map((directory) => `${directory}/${file}`));
    if (place) found[name] = place;
    else missing.push(packages);
  }
  if (missing.length > 0) {
    throw new MissingPrograms(
      `The measurements need more programs. On Debian: apt-get install --no-install-recommends ${missing.join(" ")}`,
    );
  }
  return found as unknown as Programs;
}

async function firstThatExists(paths: string[]): Promise<string | undefined> {
  for (const path of paths) {
    if (await Deno.stat(path).then(() => true, () => false)) return path;
  }
  return undefined;
}
