// What happens when the process may open no more files: who is turned away, and who is served once there is room again?

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { test } from "node:test";

const here = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);

/** Greets everybody whom it accepts, as ztunnel accepts; tells of errors; a line on standard input makes it dial. */
const program = (port: number, elsewhere: number): string => `
import { createInterface } from "node:readline";
import { ownNetns } from "@ambit/shared/linux/netns.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { createListener, createPodNet } from ${here("../inpod/listen.ts")};
import { acceptOn } from ${here("./accept.ts")};
const config = { mark: 1337, ipv6: false, portReuse: true, keepalive: undefined, userTimeoutMs: undefined, connectTimeoutMs: 1000, originalSource: false };
const netns = ownNetns();
const fd = createListener(netns.fd, config, { kind: "tcp", port: ${port}, at: "127.0.0.1" });
const say = (line) => process.stdout.write(line + "\\n");
await acceptOn([fd], { halfOpen: false, onSocket: (s) => { s.resume(); s.write("hello"); }, onError: (e) => say("error " + e.code) });
const net = createPodNet(netns, config, realWorld());
createInterface({ input: process.stdin }).on("line", () =>
  net.dial({ ip: "127.0.0.1", port: ${elsewhere} }, { signal: new AbortController().signal, halfOpen: false }).then(
    (s) => { s.destroy(); say("dialled"); },
    (e) => say(e.code + " " + e.message),
  ));
say("listening");
`;

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address !== null ? address.port : 0;
};

/** True when it was greeted, false when it was closed instead. */
const greeted = (socket: Socket): Promise<boolean> =>
  new Promise((resolve) => {
    socket.once("data", () => resolve(true));
    socket.once("error", () => {}); // its close says it
    socket.once("close", () => resolve(false));
  });

test("at the limit of open files connections beyond it are closed at once, a dial says so, and both work again after", {
  timeout: 60_000,
}, async (t) => {
  const port = await freePort();
  const other = createServer((s) => s.end()).listen(0, "127.0.0.1");
  await once(other, "listening");
  const elsewhere = other.address();
  const child = spawn(
    "prlimit",
    [
      "--nofile=96:96",
      process.execPath,
      "--input-type=module",
      "-e",
      program(port, typeof elsewhere === "object" ? (elsewhere?.port ?? 0) : 0),
    ],
    { cwd: import.meta.dirname, stdio: ["pipe", "pipe", "inherit"] },
  );
  t.after(() => {
    child.kill("SIGKILL");
    other.close();
  });
  const lines: string[] = [];
  const waiting: (() => void)[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    for (const look of waiting.splice(0)) look();
  });
  const line = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const at = lines.findIndex((l) => pattern.test(l));
      if (at >= 0) return lines.splice(at, 1)[0] ?? "";
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  await line(/^listening/);

  const sockets = Array.from({ length: 150 }, () => connect(port, "127.0.0.1"));
  const outcomes = await Promise.all(sockets.map(greeted));
  const served = outcomes.filter((o) => o).length;
  assert.ok(served > 20 && served < 96, `${served} of 150 are served`);
  // libuv takes the others off the queue and closes them (uv__emfile_trick): nobody waits, and the process is not told.
  child.stdin.write("dial\n");
  assert.match(await line(/^CONNECT /), /EMFILE/);

  const closed = sockets.map((s) => (s.destroyed ? undefined : once(s, "close")));
  for (const s of sockets) s.end();
  await Promise.all(closed);
  const again = connect(port, "127.0.0.1");
  assert.equal(await greeted(again), true);
  again.destroy();
  child.stdin.write("dial\n");
  await line(/^dialled/);
});
