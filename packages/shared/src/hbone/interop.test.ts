// Do HTTP/2 and TLS programs that nobody here wrote get on with the tunnel server? (nghttp, openssl)

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "node:tls";
import { echo, type TunnelWorld, tunnelWorld } from "./fixture.ts";

type Ran = { readonly code: number | string | null; readonly out: string };
const run = (file: string, args: readonly string[], input = ""): Promise<Ran> =>
  new Promise((resolve) => {
    const child = execFile(file, args, { timeout: 8000 }, (e, stdout, stderr) =>
      resolve({ code: e === null ? 0 : (e.code ?? null), out: stdout + stderr }),
    );
    child.stdin?.on("error", () => undefined); // a program that does not start reads nothing
    child.stdin?.end(input);
  });
const missing = async (file: string, ...args: string[]): Promise<false | string> =>
  (await run(file, args)).code === "ENOENT" ? `${file} is not installed` : false;
const [noNghttp, noOpenssl] = await Promise.all([missing("nghttp", "--version"), missing("openssl", "version")]);

const files = (t: { after(f: () => void): void }, w: TunnelWorld) => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-interop-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const cert = w.authority.cert(w.client);
  const write = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  return {
    key: write("key.pem", cert.keyPem),
    cert: write("cert.pem", cert.chainPem.join("")),
    roots: write("root.pem", w.authority.rootPem),
  };
};

test("nghttp: a GET is answered 400, over TLS 1.3 without post-quantum groups", { skip: noNghttp, timeout: 15_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: (r) => (r.method === "CONNECT" ? echo(r) : r.reject(400, { "x-why": "not-connect" })) });
  const f = files(t, w);
  const r = await run("nghttp", ["-v", "-n", `--cert=${f.cert}`, `--key=${f.key}`, `https://127.0.0.1:${w.server.address.port}/`]);
  assert.match(r.out, /:status: 400/);
  assert.match(r.out, /x-why: not-connect/);
  assert.match(r.out, /SETTINGS_MAX_CONCURRENT_STREAMS\(0x03\):200/);
  assert.match(r.out, /SETTINGS_INITIAL_WINDOW_SIZE\(0x04\):4194304/);
  assert.match(r.out, /SETTINGS_MAX_FRAME_SIZE\(0x05\):1048576/);
});

test("openssl: our chain verifies, TLS 1.3 and h2 are chosen, older TLS is refused", { skip: noOpenssl, timeout: 15_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const f = files(t, w);
  const base = [
    "s_client",
    "-connect",
    `127.0.0.1:${w.server.address.port}`,
    "-alpn",
    "h2",
    "-cert",
    f.cert,
    "-key",
    f.key,
    "-CAfile",
    f.roots,
    "-noservername",
  ];
  const good = await run("openssl", [...base, "-verify_return_error"]);
  assert.match(good.out, /TLSv1\.3, Cipher is TLS_AES_(256_GCM_SHA384|128_GCM_SHA256)/);
  assert.match(good.out, /ALPN protocol: h2/);
  assert.match(good.out, /Verify return code: 0 \(ok\)/);
  const old = await run("openssl", [...base, "-tls1_2"]);
  // The alert that says why may be overtaken by the reset that follows it; that no session came about may not.
  assert.match(old.out, /Cipher is \(NONE\)/);
});

test("a TLS session is never resumed: every connection shows its certificate anew", { timeout: 15_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const cert = w.authority.cert(w.client);
  const options = {
    port: w.server.address.port,
    host: "127.0.0.1",
    ALPNProtocols: ["h2"],
    key: cert.keyPem,
    cert: cert.chainPem.join(""),
    ca: w.authority.rootPem,
  };
  const dial = (session?: Buffer) =>
    connect({ ...options, checkServerIdentity: () => undefined, ...(session === undefined ? {} : { session }) });
  const first = dial();
  // OpenSSL hands out session names all the same; node:tls has no way to tell it not to. None of them may be worth anything.
  const [session] = (await once(first, "session")) as [Buffer];
  first.destroy();
  const second = dial(session);
  await once(second, "secureConnect");
  assert.equal(second.isSessionReused(), false);
  second.destroy();
});
