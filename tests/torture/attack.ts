// The process of an attacker: takes its order as an argument, says that it is ready, begins when it is told to, and goes on until its
// standard input ends. Then it says what it was answered, and leaves all of its connections to the system.
import { Attacker, type Order } from "./attacker.ts";
import { floods } from "./floods.ts";

const order: Order = JSON.parse(Deno.args[0]!);
const attack = floods.find(({ name }) => name === order.attack)!;
const attacker = new Attacker(order);
const say = (value: unknown) => Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));

// What becomes of a single connection is no reason to stop.
globalThis.addEventListener("unhandledrejection", (event) => event.preventDefault());

const told = new Uint8Array(100);
say("ready");
await Deno.stdin.read(told);
await attack.begin(attacker);
say("all of it goes on");
await Deno.stdin.read(told);
say(attacker.answers);
Deno.exit(0);
