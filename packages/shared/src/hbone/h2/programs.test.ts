// Do nghttp and h2load (nghttp2's own programs) find an HTTP/2 server in us?

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { echo, serve } from "./fixture.ts";

const run = promisify(execFile);
const missing = (program: string): string | false =>
  spawnSync(program, ["--version"]).error === undefined ? false : `${program} is not installed (Debian package nghttp2-client)`;

test("nghttp: what is no CONNECT is answered 400, in order", { timeout: 20_000, skip: missing("nghttp") }, async (t) => {
  const { port } = await serve(t, echo);
  const { stdout } = await run("nghttp", ["-nv", `http://127.0.0.1:${port}/`, "-m", "20", "-H", `x-long: ${"ab".repeat(2000)}`]);
  assert.equal(stdout.match(/:status: 400/g)?.length, 20);
  assert.match(stdout, /SETTINGS_INITIAL_WINDOW_SIZE\(0x04\):4194304/);
  assert.match(stdout, /SETTINGS_MAX_FRAME_SIZE\(0x05\):1048576/);
  assert.match(stdout, /window_size_increment=16711681/);
  assert.doesNotMatch(stdout, /recv (GOAWAY|RST_STREAM)/);
});

test("nghttp: a body that nobody wants is ended with NO_ERROR, after the answer", {
  timeout: 20_000,
  skip: missing("nghttp"),
}, async (t) => {
  const { port } = await serve(t, echo);
  const { stdout } = await run("nghttp", ["-nv", `http://127.0.0.1:${port}/`, "-d", process.execPath]);
  assert.match(stdout, /:status: 400/);
  assert.match(stdout, /recv RST_STREAM[\s\S]*error_code=NO_ERROR/);
});

test("h2load: 5 000 requests on 4 connections, each answered", { timeout: 60_000, skip: missing("h2load") }, async (t) => {
  const { port } = await serve(t, echo);
  const { stdout } = await run("h2load", ["-n", "5000", "-c", "4", "-m", "50", `http://127.0.0.1:${port}/`]);
  assert.match(stdout, /5000 done, 0 succeeded, 5000 failed, 0 errored, 0 timeout/);
  assert.match(stdout, /status codes: 0 2xx, 0 3xx, 5000 4xx/);
});
