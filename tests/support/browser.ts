// A real browser for the tests of the page: the Chromium of this machine, and people who sit before it.
/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
  type Route,
} from "playwright-core";
import { PATIENCE_MS } from "./client.ts";
import { launchFirefox } from "./firefox.ts";
import { type TestDatabase, testPostgres } from "./postgres.ts";
import { type ServerProcess, spawnServer } from "./server.ts";

/** The names under which systems have them. */
const NAMES = {
  chromium: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
  firefox: ["firefox-esr", "firefox"],
};

/** The one that the tests are for: `deno task test:web --browser=firefox`. */
export const BROWSER = Deno.env.get("BROWSER") === "firefox" ? "firefox" : "chromium";

/** Starts the browser without a window, with further arguments of its own. It is to be closed. */
export async function launchBrowser(args: string[] = []): Promise<Browser> {
  const executablePath = await findBrowser();
  if (BROWSER === "firefox") return await launchFirefox(executablePath);
  // Chromium's sandbox refuses to work for root, which tests in containers often are.
  return await chromium.launch({ executablePath, args, chromiumSandbox: Deno.uid() !== 0 });
}

async function findBrowser(): Promise<string> {
  const variable = BROWSER.toUpperCase();
  const named = Deno.env.get(variable);
  if (named) return named;
  for (const directory of (Deno.env.get("PATH") ?? "").split(":")) {
    for (const name of NAMES[BROWSER]) {
      const path = `${directory}/${name}`;
      if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
    }
  }
  throw new Error(
    `The tests of the page need ${BROWSER === "firefox" ? "Firefox" : "Chromium"}, and there is none in PATH: ` +
      `apt-get install ${NAMES[BROWSER][0]}, or name one in ${variable}`,
  );
}

/** What the tests of a file share: a browser, a database, and a server on it. */
export interface Site {
  readonly browser: Browser;
  readonly database: TestDatabase;
  readonly server: ServerProcess;
  readonly url: string;
}

/** Brings a site up, and takes it down when the file's tests are done. */
export async function testSite(): Promise<Site> {
  const postgres = await testPostgres();
  const database = await postgres.create();
  const server = await spawnServer(database.url);
  const browser = await launchBrowser();
  Deno.test.afterAll(async () => {
    await browser.close();
    await server[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });
  return { browser, database, server, url: server.url };
}

/**
 * A test with a browser; with `notInFirefox`, why that one can't be tested so. Its connection to this process reads all the time,
 * which the sanitizers take for a leak.
 */
export function webTest(
  name: string,
  test: () => Promise<void>,
  { notInFirefox }: { notInFirefox?: string } = {},
): void {
  const ignore = notInFirefox !== undefined && BROWSER === "firefox";
  Deno.test({ name, ignore, fn: test, sanitizeOps: false, sanitizeResources: false });
}

/** Where somebody goes, and as whom. */
export interface Visit extends BrowserContextOptions {
  /** `lobby` if not given. */
  room?: string;
  /** None: somebody who has not been here before. */
  name?: string;
  /** Whether requests are going to fail, about which the browser complains in its console. */
  badNetwork?: boolean;
  /** Waits until the page is live, unless false. */
  live?: boolean;
}

/** Somebody with a browser profile of their own. */
export class Visitor implements AsyncDisposable {
  /** What the console complained about. */
  readonly complaints: string[] = [];

  constructor(readonly context: BrowserContext, readonly page: Page, { badNetwork }: Visit) {
    page.on("pageerror", (error) => this.complaints.push(`${error}`));
    page.on("console", (message) => {
      if (!["error", "warning"].includes(message.type())) return;
      if (badNetwork && message.text().startsWith("Failed to load resource")) return;
      this.complaints.push(message.text());
    });
  }

  /** Writes a message and sends it with Enter; resolves when it is shown. */
  async say(text: string): Promise<void> {
    await this.page.fill("#text", text);
    await this.page.press("#text", "Enter");
    await this.page.evaluate(() => new Promise((resolve) => setTimeout(resolve))); // as it is shown: after this turn
  }

  /** The messages on the page, those on their way among them. */
  bodies(): Promise<string[]> {
    return this.page.$$eval(".body", (bodies) => bodies.map(({ textContent }) => textContent ?? ""));
  }

  /** Resolves when the messages on the page are these. */
  async sees(...bodies: string[]): Promise<void> {
    await this.until(
      (expected) => {
        const seen = [...document.querySelectorAll(".body")].map(({ textContent }) => textContent);
        return JSON.stringify(seen) === JSON.stringify(expected);
      },
      bodies,
    ).catch(async () => assertEquals(await this.bodies(), bodies));
  }

  /** Resolves when nothing is on its way any more. */
  async settles(): Promise<void> {
    await this.page.waitForSelector("#waiting:empty", { state: "attached" });
  }

  /** Resolves when their answers have come, too: the poll can bring a message before it is known to be one's own. */
  async confirmed(): Promise<void> {
    await this.until(() => Object.keys(localStorage).every((key) => !key.includes(" unsent ")), 0);
    await this.settles();
  }

  /** Resolves when the connection stands like this. */
  async is(status: "live" | "reconnecting" | "offline"): Promise<void> {
    await this.page.waitForSelector(`#connection[data-status=${status}]`);
  }

  /** Resolves when a condition holds in the page; fails after so many milliseconds. */
  async until<T>(condition: (argument: T) => unknown, argument: T, timeout = PATIENCE_MS): Promise<void> {
    // Polled: a condition that waited for animation frames would starve with a page in the background.
    await this.page.waitForFunction(condition as (argument: unknown) => unknown, argument, {
      polling: 20,
      timeout,
    });
  }

  /** Leaves; whoever has something to complain about fails the test. */
  async [Symbol.asyncDispose](): Promise<void> {
    // What the page asks for while it closes meets nobody any more who would answer it otherwise.
    for (const routed of [this.context, ...this.context.pages()]) {
      await routed.unrouteAll({ behavior: "ignoreErrors" }).catch(() => {}); // another visitor may have closed the context
    }
    await this.context.close();
    assertEquals(this.complaints, []);
  }
}

/** Opens the page. */
export async function visit(
  { browser, url }: { browser: Browser; url: string },
  options: Visit = {},
): Promise<Visitor> {
  const { room, name, badNetwork: _, live = true, ...others } = options;
  const context = await browser.newContext({ viewport: { width: 1000, height: 700 }, ...others });
  await hearNothingAside(context);
  const visitor = new Visitor(context, await context.newPage(), options);
  if (name) {
    const key = `linger ${new URL(url).pathname.replace(/\/*$/, "/")} name`;
    // Firefox runs it in the empty page that a new window begins with, too, which may keep nothing.
    const named = `localStorage[${JSON.stringify(key)}] ??= ${JSON.stringify(name)}`;
    await context.addInitScript(`if (origin !== "null") ${named}`);
  }
  await visitor.page.goto(`${url}/${room ? `#${room}` : ""}`);
  if (live) await visitor.is("live");
  return visitor;
}

/** Before a page's own listeners, which a window calls in the order in which they came: what it is told while it is put aside it does not hear. */
export async function hearNothingAside(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    addEventListener("storage", (event) => {
      if ((globalThis as { isAside?: boolean }).isAside) event.stopImmediatePropagation();
    });
  });
}

/** Has a page take itself for one that one has left, and that the browser keeps, to come back to: it is told nothing of what others store. */
export function putAside(page: Page): Promise<void> {
  return page.evaluate(() => {
    Object.assign(globalThis, { isAside: true });
    dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
  });
}

/** Comes back to a page that was put aside; it may load itself anew then. */
export function comeBack(page: Page): Promise<void> {
  return page.evaluate(() => {
    Object.assign(globalThis, { isAside: false });
    setTimeout(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  });
}

/** Clicks in the banner on what it tells now: a click sooner after it told something else is not meant for that, and does nothing. */
export async function clickBanner(page: Page, selector: string): Promise<void> {
  await page.waitForTimeout(600);
  await page.click(selector);
}

/** Answers a request as a router that knows of no server for the moment. */
export function noServer(route: Route): Promise<void> {
  return route.fulfill({ status: 404, contentType: "text/html", body: "<h1>Not found" });
}

/** Answers a request as a server that refuses what it says. */
export function refuse(route: Route): Promise<void> {
  const problem = { type: "urn:linger:problem:invalid-request", title: "", status: 400, detail: "Not like this" };
  return route.fulfill({ status: 400, contentType: "application/problem+json", body: JSON.stringify(problem) });
}
