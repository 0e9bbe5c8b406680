// The hosts of `deno task torture --hosts` are cut off as they should be: without a word to anybody, and from nothing else.
import { assertEquals } from "@std/assert";
import { Network, whyNoHosts } from "./torture/network.ts";

/** How long a host tries, in seconds. */
const PATIENCE_S = 5;

Deno.test({
  name: "A host that is cut off from a port reaches the others, one that is unplugged reaches none, and both find back",
  ignore: whyNoHosts() !== undefined,
  fn: async () => {
    await using network = new Network();
    await network.make(2);
    const listeners = [1, 2].map(() => Deno.listen({ hostname: network.address, port: 0 }));
    const [host, other] = network.hosts;
    /** Which of the ports a host can connect to. */
    const reached = async ({ enter }: { enter: string[] }) => {
      const codes = listeners.map(async ({ addr: { hostname, port } }) => {
        const attempt = ["timeout", `${PATIENCE_S}`, "bash", "-c", `: < /dev/tcp/${hostname}/${port}`];
        const [program, ...args] = [...enter, ...attempt];
        return (await new Deno.Command(program!, { args, stderr: "null" }).output()).success;
      });
      return await Promise.all(codes);
    };
    assertEquals(await reached(host!), [true, true]);
    await host!.cut(network.address, listeners[0]!.addr.port);
    assertEquals([await reached(host!), await reached(other!)], [[false, true], [true, true]]);
    await host!.heal();
    await host!.plug("out");
    assertEquals([await reached(host!), await reached(other!)], [[false, false], [true, true]]);
    await host!.plug("in");
    assertEquals(await reached(host!), [true, true]);
    for (const listener of listeners) listener.close();
  },
});
