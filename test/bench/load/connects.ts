// How many connections a second can be opened, used for 1 KB each way, and closed? Arguments: host, port, seconds, lanes. Prints JSON.
import { connect } from "node:net";

const [host = "", port = "", seconds = "", lanes = ""] = process.argv.slice(2);
const SIZE = 1_024;
const MOST = 20_000;
const ASK = Buffer.alloc(SIZE, "a");

const once = (): Promise<void> =>
  new Promise((resolve, reject) => {
    let pending = 0;
    const socket = connect({ host, port: Number(port), noDelay: true }, () => socket.write(ASK));
    socket.setTimeout(10_000, () => socket.destroy(new Error("no answer within 10 s")));
    // The server closes first: the port stays busy (TIME_WAIT) at its end, and ours is free for the next.
    socket.on("data", (d) => {
      pending += d.length;
    });
    socket.on("error", reject);
    socket.on("close", () => (pending >= SIZE ? resolve() : reject(new Error("closed without an answer"))));
  });

let opened = 0;
const failures: string[] = [];
const began = performance.now();
const end = began + Number(seconds) * 1_000;
const lane = async (): Promise<void> => {
  while (performance.now() < end && opened < MOST && failures.length === 0) {
    await once().then(
      () => opened++,
      (e: Error) => failures.push(e.message),
    );
  }
};
await Promise.all(Array.from({ length: Number(lanes) }, lane));
const elapsed = (performance.now() - began) / 1_000;
if (failures.length > 0) {
  process.stderr.write(`connects: after ${opened}: ${failures[0]}\n`);
  process.exitCode = 1;
} else process.stdout.write(`${JSON.stringify({ opened, perSecond: opened / elapsed })}\n`);
