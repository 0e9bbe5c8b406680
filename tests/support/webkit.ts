// The WebKit of Debian, which is the engine of Safari: Playwright can't drive it, so it is told what to do by WebDriver
// (https://www.w3.org/TR/webdriver2/). It has no mode without a window, so its windows stand on a screen that nobody sees.
/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import { until } from "./client.ts";
import { whyMissing } from "./files.ts";
import { freePort } from "./postgres.ts";

/** Where Debian's package libwebkit2gtk has the least of browsers, by its directory for each kind of processor. */
const BROWSERS = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map((kind) => `/usr/lib/${kind}/webkit2gtk-4.1/MiniBrowser`);

/** By this name WebDriver hands over an element. */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

/** Keys that are no characters: https://www.w3.org/TR/webdriver2/#keyboard-actions */
export const KEYS = { enter: "\uE007", up: "\uE013" };

/** Why there is none here, in a sentence; undefined where there is one. */
export function whyNoWebKit(): string | undefined {
  const sentence = "There is no WebKit here (apt-get install webkit2gtk-driver xvfb)";
  return whyMissing(sentence, "/usr/bin/WebKitWebDriver", "/usr/bin/Xvfb");
}

/** One that runs. */
export class WebKit implements AsyncDisposable {
  private constructor(
    private readonly screen: Deno.ChildProcess,
    private readonly driver: Deno.ChildProcess,
    private readonly url: string,
  ) {}

  /** Starts a screen, and what drives browsers on it. It is to be disposed of. */
  static async start(): Promise<WebKit> {
    const screen = new Deno.Command("Xvfb", {
      args: ["-displayfd", "1", "-screen", "0", "1600x1200x24", "-nolisten", "tcp"],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    // Its number, and the end of that line by itself: nobody may leave before.
    let display = "";
    for await (const part of screen.stdout.pipeThrough(new TextDecoderStream())) {
      display += part;
      if (display.endsWith("\n")) break;
    }
    const port = freePort();
    const driver = new Deno.Command("WebKitWebDriver", {
      args: [`--port=${port}`],
      env: { DISPLAY: `:${display.trim()}` },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const url = `http://127.0.0.1:${port}`;
    await until(() => fetch(`${url}/status`).then((answer) => answer.json(), () => false), "WebKit's driver answers");
    return new WebKit(screen, driver, url);
  }

  /** A browser with a profile of its own. */
  async open(): Promise<WebKitVisitor> {
    const binary = BROWSERS.find((path) => Deno.statSync(path).isFile);
    const options = { binary, args: ["--automation"] };
    const { sessionId } = await ask<{ sessionId: string }>(`${this.url}/session`, {
      capabilities: { alwaysMatch: { "webkitgtk:browserOptions": options } },
    });
    return new WebKitVisitor(`${this.url}/session/${sessionId}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of [this.driver, this.screen]) {
      process.kill();
      await process.status;
    }
  }
}

/** Somebody before it. */
export class WebKitVisitor implements AsyncDisposable {
  constructor(private readonly session: string) {}

  async goto(url: string): Promise<void> {
    await ask(`${this.session}/url`, { url });
  }

  /** Runs a function in the page. */
  run<T, A extends unknown[]>(script: (...args: A) => T, ...args: A): Promise<T> {
    return ask<T>(`${this.session}/execute/sync`, { script: `return (${script})(...arguments)`, args });
  }

  /** Resolves when a condition holds in the page. */
  async until<A extends unknown[]>(what: string, condition: (...args: A) => unknown, ...args: A): Promise<void> {
    await until(() => this.run(condition, ...args).then(Boolean, () => false), what);
  }

  /** Types into a field: characters, and keys that are none. */
  async type(selector: string, text: string): Promise<void> {
    await ask(`${await this.element(selector)}/value`, { text });
  }

  /** Makes the window as wide and high, in pixels. */
  async resize(width: number, height: number): Promise<void> {
    await ask(`${this.session}/window/rect`, { width, height });
  }

  /** A picture of the page, as a PNG. */
  async picture(): Promise<Uint8Array> {
    return Uint8Array.from(
      atob(await ask<string>(`${this.session}/screenshot`)),
      (character) => character.charCodeAt(0),
    );
  }

  /** Opens another window of this profile, and goes on there; the one before. */
  async another(): Promise<string> {
    const before = await ask<string>(`${this.session}/window`);
    const { handle } = await ask<{ handle: string }>(`${this.session}/window/new`, { type: "window" });
    await this.turnTo(handle);
    return before;
  }

  /** Goes on in that window. */
  async turnTo(handle: string): Promise<void> {
    await ask(`${this.session}/window`, { handle });
  }

  /** Resolves when the messages on the page are these. */
  async sees(...bodies: string[]): Promise<void> {
    const seen = () => this.run(() => [...document.querySelectorAll(".body")].map(({ textContent }) => textContent));
    const expected = JSON.stringify(bodies);
    await until(async () => JSON.stringify(await seen()) === expected, "the messages are there").catch(async () => {
      assertEquals(await seen(), bodies);
    });
  }

  private async element(selector: string): Promise<string> {
    const found = await ask<Record<string, string>>(`${this.session}/element`, {
      using: "css selector",
      value: selector,
    });
    return `${this.session}/element/${found[ELEMENT]}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ask(this.session, undefined, "DELETE");
  }
}

/** Asks the driver; throws what it complains about. */
async function ask<T = unknown>(url: string, body?: unknown, method = body === undefined ? "GET" : "POST"): Promise<T> {
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
  return value;
}
