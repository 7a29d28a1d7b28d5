// Do log lines leave whole and in order, and does nothing wait for who does not take them?

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { createLineBuffer } from "./lines.ts";
import { batchedOutput } from "./output.ts";

const OUTPUT = new URL("./output.ts", import.meta.url).href;

/** A process that logs to standard output and answers on fd 3 what it is asked by the program's text. */
const program = (text: string, stdout: "pipe" | number): ChildProcess =>
  spawn(process.execPath, ["--input-type=module", "-e", `import { batchedOutput } from ${JSON.stringify(OUTPUT)};\n${text}`], {
    stdio: ["ignore", stdout, "inherit", "pipe"],
  });

const answers = async (child: ChildProcess): Promise<string[]> => {
  const stream = child.stdio[3];
  assert.ok(stream !== null && stream !== undefined && "read" in stream);
  const lines: string[] = [];
  for await (const line of createInterface({ input: stream as NodeJS.ReadableStream })) lines.push(line);
  return lines;
};

const WITHIN = { timeout: 30_000 };

test("lines are whole, in order, and none is missing; flushSync writes what is left", WITHIN, async () => {
  const child = program(
    `const out = batchedOutput({ fd: 1, mostQueued: 1e9 });
     for (let i = 0; i < 50_000; i++) out.write("line " + i + "\\n");
     await out.drained(20_000);
     out.write("last\\n");
     out.flushSync();`,
    "pipe",
  );
  assert.ok(child.stdout !== null);
  let next = 0;
  const rest: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === `line ${next}`) next += 1;
    else rest.push(line);
  }
  assert.deepEqual({ next, rest }, { next: 50_000, rest: ["last"] });
});

test(
  "a reader that does not read: the process works on, holds little, tells what was lost, and ends when it is told to",
  WITHIN,
  async () => {
    const child = program(
      `import { writeSync } from "node:fs";
     const out = batchedOutput({ fd: 1 });
     out.onLost((lines) => { writeSync(3, "lost " + (lines > 100_000) + "\\n"); process.exit(0); });
     const before = process.memoryUsage.rss();
     const line = "x".repeat(99) + "\\n";
     let turns = 0;
     const turn = () => {
       for (let i = 0; i < 1000; i++) out.write(line);
       if (++turns < 200) return setImmediate(turn);
       writeSync(3, "grown by less than 40 MB " + (process.memoryUsage.rss() - before < 40e6) + "\\n");
     };
     setImmediate(turn);
     setInterval(() => {}, 1000);`,
      "pipe",
    );
    const said: string[] = [];
    const stream = child.stdio[3];
    assert.ok(stream !== null && stream !== undefined);
    const exit = once(child, "exit");
    for await (const line of createInterface({ input: stream as NodeJS.ReadableStream })) {
      said.push(line);
      if (said.length === 1) child.stdout?.resume(); // it begins to read
    }
    assert.deepEqual(said, ["grown by less than 40 MB true", "lost true"]);
    assert.deepEqual(await exit, [0, null]);
  },
);

test("a process whose reader never reads can end", WITHIN, async () => {
  const child = program(
    `const out = batchedOutput({ fd: 1 });
     for (let i = 0; i < 10_000; i++) out.write("x".repeat(99) + "\\n");
     setTimeout(() => { out.flushSync(); process.exit(7); }, 100);`,
    "pipe",
  );
  assert.deepEqual(await once(child, "exit"), [7, null]);
  child.stdout?.destroy();
});

test("a reader that is gone (EPIPE) and a full disk (ENOSPC) stop nobody", WITHIN, async () => {
  const text = `import { writeSync } from "node:fs";
     const out = batchedOutput({ fd: 1, retryMs: 20 });
     let turns = 0;
     const timer = setInterval(() => {
       out.write("line\\n");
       if (++turns < 10) return;
       clearInterval(timer);
       writeSync(3, "alive\\n");
     }, 10);`;
  const piped = program(text, "pipe");
  piped.stdout?.destroy();
  assert.deepEqual(await answers(piped), ["alive"]);
  const full = openSync("/dev/full", "w");
  try {
    assert.deepEqual(await answers(program(text, full)), ["alive"]);
  } finally {
    closeSync(full);
  }
});

test("a full disk: the process holds little and can end, also with something left to write", WITHIN, async () => {
  const full = openSync("/dev/full", "w");
  try {
    const said = await answers(
      program(
        `import { writeSync } from "node:fs";
         const out = batchedOutput({ fd: 1, mostQueued: 100_000, retryMs: 5 });
         const before = process.memoryUsage.rss();
         let turns = 0;
         const timer = setInterval(() => {
           for (let i = 0; i < 1000; i++) out.write("x".repeat(99) + "\\n");
           if (++turns < 300) return;
           clearInterval(timer);
           writeSync(3, "grown by less than 40 MB " + (process.memoryUsage.rss() - before < 40e6) + "\\n");
           out.write("last\\n");
           setImmediate(() => process.exit());
         }, 1);`,
        full,
      ),
    );
    assert.deepEqual(said, ["grown by less than 40 MB true"]);
  } finally {
    closeSync(full);
  }
});

test("a disk that has room again gets lines again, and is told how many are missing", WITHIN, async () => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-output-"));
  const path = join(dir, "log");
  const fd = openSync(path, "w");
  try {
    // No more than 8 KB may be written to any file until the limit is lifted: that is how a quota ends too (EFBIG).
    const child = spawn(
      "prlimit",
      [
        "--fsize=8192:unlimited",
        process.execPath,
        "--input-type=module",
        "-e",
        `import { spawnSync } from "node:child_process";
         import { batchedOutput } from ${JSON.stringify(OUTPUT)};
         process.on("SIGXFSZ", () => {});
         const out = batchedOutput({ fd: 1, retryMs: 20 });
         out.onLost((lines) => out.write("lost " + (lines > 0) + "\\n"));
         let turns = 0;
         const timer = setInterval(() => {
           out.write(String(turns).padStart(3, "0") + "x".repeat(996) + "\\n");
           turns += 1;
           if (turns === 40) spawnSync("prlimit", ["--fsize=unlimited", "--pid", String(process.pid)]);
           if (turns === 60) { clearInterval(timer); out.drained(5000).then(() => out.flushSync()); }
         }, 5);`,
      ],
      { stdio: ["ignore", fd, "inherit"] },
    );
    assert.deepEqual(await once(child, "exit"), [0, null]);
    const lines = readFileSync(path, "utf8").split("\n");
    assert.ok(lines.includes("lost true"), "the loss is told");
    assert.ok(lines.length < 61, `${lines.length} lines`);
  } finally {
    closeSync(fd);
    rmSync(dir, { recursive: true });
  }
});

test("a thread's lines of a moment are one message; many are several", async () => {
  const posted: string[] = [];
  const first = Promise.withResolvers<void>();
  const buffer = createLineBuffer((lines) => {
    posted.push(lines);
    first.resolve();
  });
  buffer.write("a\n");
  buffer.write("b\n");
  assert.deepEqual(posted, []);
  await first.promise;
  assert.deepEqual(posted, ["a\nb\n"]);
  buffer.write(`${"x".repeat(40_000)}\n`);
  buffer.write("c\n");
  buffer.flush();
  assert.deepEqual(posted.slice(1), [`${"x".repeat(40_000)}\n`, "c\n"]);
});

test("standard output may be anything: a descriptor that cannot be looked at is said at once", () => {
  assert.throws(() => batchedOutput({ fd: 999 }), /EBADF/);
});
