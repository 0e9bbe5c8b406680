// The Firefox that systems have. Playwright speaks WebDriver BiDi with it (https://w3c.github.io/webdriver-bidi/), and is newer
// than it: it says what colours one likes when it makes a window, by a command that Firefox 153 does not know.
import { type Browser, firefox } from "playwright-core";
import { whyMissing } from "./files.ts";

/** Why there is none in the place where Debian has it, in a sentence; undefined where there is one. */
export function whyNoFirefox(): string | undefined {
  return whyMissing("There is no Firefox in /usr/bin (apt-get install firefox-esr)", "/usr/bin/firefox-esr");
}

/** What Playwright has of a connection, with the members that matter here. */
interface Session {
  send(method: string, params?: unknown): Promise<unknown>;
}

/** Starts Firefox without a window. It is to be closed. */
export async function launchFirefox(executablePath: string): Promise<Browser> {
  const browser = await firefox.launch({ channel: "moz-firefox", executablePath });
  const { _connection: connection } = browser as unknown as {
    _connection: { toImpl(browser: Browser): { _browserSession: Session } };
  };
  const sessions: Session = Object.getPrototypeOf(connection.toImpl(browser)._browserSession);
  const { send } = sessions;
  sessions.send = function (method, params) {
    if (method === "emulation.setMediaFeaturesOverride") return Promise.resolve({});
    return send.call(this, method, params);
  };
  return browser;
}
