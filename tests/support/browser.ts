// A real browser for the tests: the Chromium of this machine, once for a file.
import { type Browser, chromium } from "playwright-core";

/** The names under which systems have it. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** Starts Chromium without a window. It is to be closed. */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = await findChromium();
  // Chromium's sandbox refuses to work for root, which tests in containers often are.
  return await chromium.launch({ executablePath, chromiumSandbox: Deno.uid() !== 0 });
}

async function findChromium(): Promise<string> {
  const named = Deno.env.get("CHROMIUM");
  if (named) return named;
  for (const directory of (Deno.env.get("PATH") ?? "").split(":")) {
    for (const name of NAMES) {
      const path = `${directory}/${name}`;
      if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
    }
  }
  throw new Error(
    "The tests of the page need Chromium, and there is none in PATH: apt-get install chromium, or name one in CHROMIUM",
  );
}
