// Where one writes: input methods, phones, texts that are too long, and things that are no text.
import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { testSite, visit, type Visitor, webTest } from "../support/browser.ts";
import { messages } from "../support/client.ts";

const site = await testSite();

const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** The text that stands in the field. */
const written = ({ page }: Visitor) => page.inputValue("#text");

const bodies = async (room: string) => (await messages(site, room, "wait=0")).map(({ body }) => body);

webTest(
  "Enter that ends an input method's conversion sends nothing, in any browser's order; the next one does",
  async () => {
    await using ada = await visit(site, { room: "kanji", name: "Ada" });
    await ada.page.fill("#text", "変換");
    const press = (after: boolean, init: { isComposing?: boolean; keyCode?: number }) =>
      ada.page.evaluate(([after, init]) => {
        const text = document.getElementById("text")!;
        if (after) text.dispatchEvent(new CompositionEvent("compositionend"));
        text.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...init }));
      }, [after, init] as const);
    await press(false, { isComposing: true });
    await press(true, { keyCode: 229 });
    await press(false, { keyCode: 229 });
    await press(true, { keyCode: 13 });
    assertEquals(await written(ada), "変換");
    await ada.page.press("#text", "Enter");
    await ada.sees("変換");
  },
);

webTest("Enter that ends a word and would begin a line sends, as whatever key a browser tells it", async () => {
  await using ada = await visit(site, { room: "hangul", name: "Ada" });
  const { page } = ada;
  // Korean, where the key is told twice, and the word ends in between.
  await page.fill("#text", "안녕");
  await page.evaluate(() => {
    const text = document.getElementById("text")!;
    addEventListener("keydown", () => {
      const init = { key: "Enter", keyCode: 229, isComposing: true, bubbles: true, cancelable: true };
      text.dispatchEvent(new KeyboardEvent("keydown", init));
      text.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }));
    }, { capture: true, once: true });
  });
  await page.press("#text", "Enter");
  await ada.sees("안녕");
  // A phone's "Send", and a browser that leaves all keys to the input method while there is a word.
  for (const [word, told] of [["hey", {}], ["hi", { key: "Process", keyCode: 229 }]] as const) {
    await page.fill("#text", word);
    await page.evaluate((told) => {
      addEventListener("keydown", (event) => {
        const own = Object.entries({ isComposing: true, ...told }).map(([name, value]) => [name, { value }]);
        Object.defineProperties(event, Object.fromEntries(own));
      }, { capture: true, once: true });
    }, told);
    await page.press("#text", "Enter");
    await page.waitForSelector(`.body >> text="${word}"`);
  }
  await ada.sees("안녕", "hey", "hi");
  // Who writes fast lets the key before it go after it.
  await page.fill("#text", "fast");
  await page.$eval("#text", (text) => {
    const enter = { key: "Enter", code: "Enter", keyCode: 229, bubbles: true };
    text.dispatchEvent(new KeyboardEvent("keydown", enter));
    text.dispatchEvent(new KeyboardEvent("keyup", { key: "t", code: "KeyT", bubbles: true }));
    const init = { inputType: "insertLineBreak", bubbles: true, cancelable: true };
    text.dispatchEvent(new InputEvent("beforeinput", init));
  });
  await ada.sees("안녕", "hey", "hi", "fast");
});

webTest("A line break that no Enter makes is one: spoken, or by another key", async () => {
  await using ada = await visit(site, { room: "spoken", name: "Ada" });
  const { page } = ada;
  /** Whether the browser may make it. */
  const breakLine = () =>
    page.$eval("#text", (text) => {
      const init = { inputType: "insertLineBreak", bubbles: true, cancelable: true };
      return text.dispatchEvent(new InputEvent("beforeinput", init));
    });
  await ada.say("Typed");
  await page.fill("#text", "Spoken");
  assertEquals(await breakLine(), true); // the Enter before it has sent something
  await page.press("#text", "End");
  assertEquals(await breakLine(), true);
  await page.$eval("#text", (text) => { // a letter, as a phone tells it
    const letter = { key: "Unidentified", keyCode: 229, bubbles: true };
    for (const type of ["keydown", "keyup"]) text.dispatchEvent(new KeyboardEvent(type, letter));
  });
  assertEquals(await breakLine(), true);
  assertEquals(await written(ada), "Spoken");
});

webTest("Keys that end a conversion where one edits neither save nor put aside, in any browser's order", async () => {
  await using ada = await visit(site, { room: "kana", name: "Ada" });
  const { page } = ada;
  await ada.say("かな");
  await ada.confirmed();
  await page.press("#text", "ArrowUp");
  await page.waitForSelector("#editor:not([hidden])");
  await page.fill("#edited-text", "変換");
  await page.evaluate(() => {
    const text = document.getElementById("edited-text")!;
    for (const key of ["Enter", "Escape"]) {
      text.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }));
      text.dispatchEvent(new KeyboardEvent("keydown", { key, keyCode: 13, bubbles: true, cancelable: true }));
    }
  });
  assertEquals([await page.isVisible("#editor"), await page.inputValue("#edited-text")], [true, "変換"]);
  assertEquals((await ada.bodies())[0], "かな");
  await page.waitForTimeout(100); // longer than the press that ended it
  await page.press("#edited-text", "Enter");
  await ada.sees("変換");
});

webTest(
  "A text of a megabyte is told, and is neither let in nor kept: neither a key nor a reload waits for it",
  async () => {
    await using ada = await visit(site, { room: "flood", name: "Ada" });
    const { page } = ada;
    await page.fill("#text", "Before");
    const text = "lorem ipsum ".repeat(1_000_000 / 12);
    // Pasted, as a browser tells it.
    const letIn = await page.evaluate((data) => {
      const init = { inputType: "insertFromPaste", data, bubbles: true, cancelable: true };
      return document.getElementById("text")!.dispatchEvent(new InputEvent("beforeinput", init));
    }, text);
    assertEquals(letIn, false);
    assertEquals(await page.textContent("#room-left"), "990,002 characters too long: not inserted");
    await page.fill("#text", text); // or come in some other way
    assertEquals(await page.textContent("#room-left"), "989,996 characters too long: not inserted");
    assertEquals(await written(ada), "Before");
    await page.press("#text", "End");
    await page.press("#text", "!");
    assertEquals(await page.textContent("#room-left"), "");
    const kept = await page.evaluate(() => Object.values({ ...localStorage }).map((value) => `${value}`.length));
    assertLess(Math.max(...kept), 1_000);
    await page.reload();
    await ada.is("live");
    assertEquals(await written(ada), "Before!");

    // Nor where a message is edited.
    await ada.say("Hello");
    await ada.confirmed();
    await page.press("#text", "ArrowUp");
    await page.waitForSelector("#editor:not([hidden])");
    await page.fill("#edited-text", text);
    assertEquals(await page.textContent("#editor .note"), "989,996 characters too long: not inserted");
    assertEquals(await page.inputValue("#edited-text"), "Hello");
    await page.press("#edited-text", "End");
    await page.press("#edited-text", "!");
    assertEquals(await page.textContent("#editor .note"), "");
  },
);

webTest("How long a text is, is told in characters; blank lines around it count for nothing", async () => {
  await using ada = await visit(site, { room: "long", name: "Ada" });
  const told = async (text: string) => {
    await ada.page.fill("#text", text);
    return await ada.page.textContent("#room-left");
  };
  assertEquals(await told("é".repeat(5_001)), "1 character too long");
  assertEquals(await told("é".repeat(4_999)), "1 character left");
  assertEquals(await told("x".repeat(10_002)), "2 characters too long");
  assertEquals(await told("x".repeat(9_980) + "👨‍👩‍👧".repeat(3)), "2 characters too long"); // 18 bytes each
  assertEquals(await told("x".repeat(8_999)), "");
  assertEquals(await told("\n\n" + "x".repeat(10_000) + "\n  \n".repeat(50)), "0 characters left");
  // The field would have to hold them, though.
  assertEquals(await told("a" + "\n".repeat(50_000)), "40,001 characters too long: not inserted");
  assertEquals(await ada.page.isDisabled("#send"), false);
  await ada.page.press("#text", "Enter");
  await ada.settles();
  assertEquals((await bodies("long")).map((body) => body.length), [10_000]);
});

webTest("What nobody can see is neither sent nor a name", async () => {
  await using noor = await visit(site, { room: "unseen" });
  // The last ones: what Unicode keeps for characters to be ignored, and a note without a head.
  const unseen = ["\u200b\u2060", "\u2800", "\u00ad \u3164", "\u2065\ufff0", "\u{e0080}\u{e01f0}", "\u{1d159}"];
  for (const name of unseen) {
    await noor.page.fill("#name", name);
    await noor.page.press("#name", "Enter");
    assertEquals(await noor.page.isVisible("#name"), true);
  }
  await noor.page.fill("#name", "Noor");
  await noor.page.press("#name", "Enter");
  await noor.page.fill("#text", `${unseen.join(" ")}\n`);
  assertEquals(await noor.page.isDisabled("#send"), true);
  await noor.page.press("#text", "Enter");
  await noor.page.fill("#text", "👍🏽");
  await noor.page.press("#text", "Enter");
  await noor.settles();
  assertEquals(await bodies("unseen"), ["👍🏽"]);
});

webTest(
  "On a phone Send sends, a button begins a line, and the keyboard stays away until it is asked for",
  async () => {
    await using ada = await visit(site, { room: "pocket", name: "Ada", ...PHONE });
    const { page } = ada;
    const active = () => page.evaluate(() => document.activeElement?.id);
    assertEquals(await active(), "");
    await page.evaluate(() => location.hash = "#bag");
    await page.waitForFunction(() => document.querySelector("h1")!.textContent === "bag");
    assertEquals(await active(), "");
    await page.tap("#text");
    await page.keyboard.type("One line");
    await page.tap("#new-line");
    await page.keyboard.type("and another");
    await page.keyboard.press("Enter"); // the key that says "Send"
    await ada.sees("One line\nand another");
    assertEquals(await active(), "text"); // and the keyboard stays open
    await page.keyboard.type("With a keyboard of its own");
    await page.keyboard.press("Control+Enter");
    await ada.sees("One line\nand another", "With a keyboard of its own");
    await page.fill("#text", "A draft");
    await page.evaluate(() => document.getElementById("text")!.blur());
    await page.tap("#send");
    await ada.sees("One line\nand another", "With a keyboard of its own", "A draft");
    assertEquals(await active(), "");
  },
  { notInFirefox: "WebDriver BiDi has no touch screen" },
);

webTest(
  "On a phone one edits as one writes: Enter saves, also with a keyboard of its own, and a button begins a line",
  async () => {
    await using ada = await visit(site, { room: "pocket-edit", name: "Ada", ...PHONE });
    const { page } = ada;
    await ada.say("One");
    await ada.confirmed();
    await page.press("#text", "ArrowUp");
    await page.waitForSelector("#editor:not([hidden])");
    await page.keyboard.press("End");
    await page.tap("#edited-new-line");
    assertEquals(await page.evaluate(() => document.activeElement?.id), "edited-text"); // and the keyboard stays open
    await page.keyboard.type("Two");
    await page.keyboard.press("Enter"); // the key that says "Done"
    await ada.sees("One\nTwo");
    await page.waitForSelector("#editor", { state: "hidden" });
    await page.press("#text", "ArrowUp");
    await page.fill("#edited-text", "Three");
    await page.keyboard.press("Control+Enter");
    await ada.sees("Three");
  },
  { notInFirefox: "WebDriver BiDi has no touch screen" },
);

webTest("A file that is dropped does not take the page's place, and it is told why nothing comes of it", async () => {
  await using ada = await visit(site, { room: "files", name: "Ada" });
  const { page } = ada;
  const drop = () =>
    page.evaluate(() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["x"], "cake.jpg"));
      return ["dragover", "drop"].map((type) =>
        !document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }))
      );
    });
  const paste = (field: string, texts: string[] = [], isFile = true) =>
    page.$eval(field, (field, { texts, isFile }) => {
      const clipboardData = new DataTransfer();
      for (const type of texts) clipboardData.setData(type, "x");
      if (isFile) clipboardData.items.add(new File(["x"], "cake.jpg"));
      const event = new ClipboardEvent("paste", { bubbles: true, cancelable: true });
      field.dispatchEvent(Object.defineProperty(event, "clipboardData", { value: clipboardData }));
    }, { texts, isFile });
  const told = async () => await page.textContent("#room-left") ?? "";
  assertEquals(await drop(), [true, true]);
  assertMatch(await told(), /^Files can’t be sent here/);
  await page.fill("#text", "Then a link");
  assertEquals(await told(), "");
  await paste("#text", [], false); // nothing at all
  await paste("#text", ["text/plain", "text/html"]); // cells of a table, which are a picture besides
  assertEquals(await told(), "");
  for (const texts of [[], ["text/html"]]) { // a picture of a web page is both
    await paste("#text", texts);
    assertMatch(await told(), /^Files can’t be sent here/);
    await page.fill("#text", `Then a ${texts.length > 0 ? "link" : "word"}`);
    assertEquals(await told(), "");
  }

  // Also where one edits, and then there alone.
  await page.press("#text", "Enter");
  await ada.confirmed();
  await page.press("#text", "ArrowUp");
  await page.waitForSelector("#editor:not([hidden])");
  const toldThere = async () => await page.textContent("#editor .note") ?? "";
  for (const way of [() => paste("#edited-text"), drop]) {
    await way();
    assertMatch(await toldThere(), /^Files can’t be sent here/);
    assertEquals(await told(), "");
    await page.keyboard.type("!");
    assertEquals(await toldThere(), "");
  }
});

webTest("Who drops a file on the page is told why nothing comes of it", async () => {
  await using ada = await visit(site, { room: "dropped", name: "Ada" });
  const { page } = ada;
  const path = await Deno.makeTempFile({ suffix: ".jpg" });
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    await session.send("Input.dispatchDragEvent", { type, x: 500, y: 300, data });
  }
  await page.waitForSelector("#room-left >> text=/^Files can’t be sent here/");
  assertEquals(page.url(), `${site.url}/#dropped`);
  await Deno.remove(path);
}, { notInFirefox: "nothing can be dropped on it by a test" });

webTest("The question for a name does not look like the line to write in", async () => {
  await using noor = await visit(site, { room: "garden" });
  assertEquals(await noor.page.getAttribute("#name", "placeholder"), "Your name");
  const [question, line] = await noor.page.evaluate(() =>
    ["name-form", "composer"].map((id) => getComputedStyle(document.getElementById(id)!).backgroundColor)
  );
  assertEquals(question === line, false);
});
