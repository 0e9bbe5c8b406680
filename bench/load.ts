// The load, as a process of its own and as light as can be: HTTP over bare TCP connections, requests made once.
//   load.ts posts <port> <connections> <seconds>   posts to one room, each connection one after the other
//   load.ts waiters <port> <count>                 parks polls; prints "parked", then when each had its answer
const [command, port, count, seconds] = Deno.args;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Reads one HTTP answer with a Content-Length; returns its status, or 0 at the end of the stream. */
async function readAnswer(connection: Deno.TcpConn, buffer: Uint8Array<ArrayBuffer>): Promise<number> {
  let length = 0;
  for (let end = Infinity; length < end;) {
    const read = await connection.read(buffer.subarray(length));
    if (read === null) return 0;
    length += read;
    if (end < Infinity) continue;
    const text = decoder.decode(buffer.subarray(0, length));
    const head = text.indexOf("\r\n\r\n");
    if (head >= 0) end = head + 4 + Number(text.match(/content-length: (\d+)/i)?.[1] ?? 0);
  }
  return Number(decoder.decode(buffer.subarray(9, 12)));
}

if (command === "posts") {
  const body = JSON.stringify({ body: "x".repeat(100) });
  const request = encoder.encode(
    `POST /rooms/bench/messages HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  const times: number[] = [];
  const end = performance.now() + Number(seconds) * 1000;
  await Promise.all(Array.from({ length: Number(count) }, async () => {
    const connection = await Deno.connect({ port: Number(port) });
    connection.setNoDelay(true);
    const buffer = new Uint8Array(8192);
    for (let start; (start = performance.now()) < end;) {
      await connection.write(request);
      const status = await readAnswer(connection, buffer);
      if (status !== 201) throw new Error(`Answered ${status}`);
      times.push(performance.now() - start);
    }
    connection.close();
  }));
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(share * times.length)];
  console.log(JSON.stringify({ perSecond: times.length / Number(seconds), p50: at(0.5), p99: at(0.99) }));
}

if (command === "waiters") {
  const request = encoder.encode(
    "GET /rooms/bench/messages?after=now&wait=55 HTTP/1.1\r\nHost: bench\r\n\r\n",
  );
  const connections = await Promise.all(
    Array.from({ length: Number(count) }, () => Deno.connect({ port: Number(port) })),
  );
  await Promise.all(connections.map((connection) => connection.write(request)));
  const answers = connections.map(async (connection) => {
    const status = await readAnswer(connection, new Uint8Array(4096));
    const at = performance.timeOrigin + performance.now();
    connection.close();
    return { status, at };
  });
  console.log("parked");
  const all = await Promise.all(answers);
  const times = all.map(({ at }) => at).sort((a, b) => a - b);
  const served = all.filter(({ status }) => status === 200).length;
  console.log(JSON.stringify({ served, half: times[Math.floor(times.length / 2)], last: times.at(-1) }));
}
