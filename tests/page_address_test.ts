// What is in the page's address after #, as it is written and as others write it.
import { assertEquals } from "@std/assert";
import { hashOf, placeOf } from "../src/web/address.js";

const ID = "01890000-0000-7000-8000-000000000000";

Deno.test("An address leads to the room, or to the message, that it was made of", () => {
  assertEquals(placeOf(hashOf("tea-time")), { room: "tea-time", message: "" });
  assertEquals(placeOf(hashOf("tea-time", ID)), { room: "tea-time", message: ID });
  assertEquals(placeOf(""), { room: "", message: "" });
});

Deno.test("It may be encoded, since programs do that to addresses", () => {
  assertEquals(placeOf("#%7Efoo"), { room: "~foo", message: "" });
  assertEquals(placeOf(`#foo%2F${ID}`), { room: "foo", message: ID });
  assertEquals(placeOf("#caf%C3%A9"), { room: "café", message: "" });
  assertEquals(placeOf("#100%"), { room: "100%", message: "" });
});
