// How long does 1 KB there and 1 KB back take on a connection that stands? Arguments: host, port, seconds. Prints JSON, microseconds.
import { connect } from "node:net";
import { percentile } from "../stats.ts";

const [host = "", port = "", seconds = ""] = process.argv.slice(2);
const SIZE = 1_024;
const MOST = 200_000;
const WARM_UP_MS = 300;
const ASK = Buffer.alloc(SIZE, "a");

const took: number[] = [];
const began = performance.now();
const end = began + WARM_UP_MS + Number(seconds) * 1_000;
let pending = 0;
let asked = 0;

const socket = connect({ host, port: Number(port), noDelay: true }, () => ask());
const ask = (): void => {
  asked = performance.now();
  socket.write(ASK);
};
socket.on("data", (d) => {
  pending += d.length;
  if (pending < SIZE) return;
  pending = 0;
  const now = performance.now();
  if (asked > began + WARM_UP_MS) took.push((now - asked) * 1_000);
  if (now < end && took.length < MOST) ask();
  else finish();
});
const finish = (): void => {
  socket.destroy();
  process.stdout.write(`${JSON.stringify({ count: took.length, p50: percentile(took, 0.5), p99: percentile(took, 0.99) })}\n`);
};
const fail = (why: string): void => {
  process.stderr.write(`pingpong: ${why}\n`);
  process.exit(1);
};
socket.on("error", (e) => fail(e.message));
socket.on("end", () => fail("the other end closed"));
