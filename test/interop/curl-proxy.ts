// Does curl carry requests through our tunnels as an HTTP/2 proxy (--proxy-http2)? `node test/interop/curl-proxy.ts <python> [PYTHONPATH]`
// Debian 12's curl (7.88) cannot speak HTTP/2 to a proxy; the Python package curl_cffi brings a libcurl that can (tried: 0.17.0, libcurl 8.23).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testAuthority } from "@ambit/shared/ca/fixture.ts";
import { splice } from "@ambit/shared/copy/splice.ts";
import { serveTunnels } from "@ambit/shared/hbone/accept.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";

/** CURLPROXY_HTTPS2 is 3; CURL_HTTP_VERSION_1_1 is 2. Prints the hash of what came, and how much. */
const CLIENT = `
import sys, hashlib
from curl_cffi import Curl, CurlOpt
proxy, dir, url, upload = sys.argv[1:5]
heard = hashlib.sha256()
count = 0
def take(b):
    global count
    heard.update(b)
    count += len(b)
    return len(b)
c = Curl(cacert=dir + "/roots.pem") # its own perform() sets CAINFO from here, for the proxy too
for option, value in {
    "URL": url, "PROXY": proxy, "PROXYTYPE": 3, "HTTPPROXYTUNNEL": 1, "HTTP_VERSION": 2,
    "PROXY_SSLCERT": dir + "/cert.pem", "PROXY_SSLKEY": dir + "/key.pem", "PROXY_CAINFO": dir + "/roots.pem",
    "PROXY_SSL_VERIFYPEER": 1, "PROXY_SSL_VERIFYHOST": 0, "TIMEOUT": 30, "CONNECTTIMEOUT": 10,
}.items():
    c.setopt(getattr(CurlOpt, option), value.encode() if isinstance(value, str) else value)
if upload != "":
    body = open(upload, "rb").read()
    c.setopt(CurlOpt.POSTFIELDSIZE_LARGE, len(body))
    c.setopt(CurlOpt.POSTFIELDS, body)
c.setopt(CurlOpt.WRITEFUNCTION, take)
c.perform()
print(heard.hexdigest(), count)
`;

const BIG = 50 << 20;
const world = realWorld();
const authority = testAuthority();
const cert = authority.cert(spiffeId("cluster.local", "ns", "ambit"));
const sha = (b: Buffer): string => createHash("sha256").update(b).digest("hex");

const [python, pythonPath] = process.argv.slice(2);
if (python === undefined) {
  process.stderr.write("usage: node test/interop/curl-proxy.ts <python that has curl_cffi> [PYTHONPATH]\n");
  process.exit(2);
}

const dir = mkdtempSync(join(tmpdir(), "ambit-curl-"));
const theirs = authority.cert(spiffeId("cluster.local", "ns", "curl"));
writeFileSync(join(dir, "cert.pem"), theirs.chainPem.join(""));
writeFileSync(join(dir, "key.pem"), theirs.keyPem, { mode: 0o600 });
writeFileSync(join(dir, "roots.pem"), authority.rootPem);

const answer = randomBytes(BIG);
const web = createServer((req, res) => {
  if (req.method === "GET") return void res.end(answer);
  const hash = createHash("sha256");
  req.on("data", (c: Buffer) => hash.update(c)).on("end", () => res.end(hash.digest("hex")));
}).listen(0, "127.0.0.1");
await once(web, "listening");
const asked: string[] = [];
const tunnels = await serveTunnels({
  listen: { host: "127.0.0.1", port: 0 },
  certs: () => cert,
  trustDomain: "cluster.local",
  onRequest: (r) => {
    asked.push(`${r.method} ${r.authority} ${r.peer.serviceAccount}`);
    if (r.authority.endsWith(":81")) return r.reject(403);
    const app = connect({ port: (web.address() as { port: number }).port, host: "127.0.0.1", allowHalfOpen: true });
    const none = { add: () => undefined };
    app.once("connect", () => void splice(r.open({}), app, { forward: none, backward: none }));
  },
  world,
  log: (event, fields) => process.stdout.write(`${event} ${JSON.stringify(fields)}\n`),
});

/** What curl heard: hash, octets, and its error. */
const curl = async (url: string, upload = ""): Promise<{ said: string; error: string }> => {
  const env = { ...process.env, ...(pythonPath === undefined ? {} : { PYTHONPATH: pythonPath }) };
  const child = spawn(python, ["-c", CLIENT, `https://127.0.0.1:${tunnels.address.port}`, dir, url, upload], { env });
  let [said, error] = ["", ""];
  child.stdout.on("data", (c) => {
    said += String(c);
  });
  child.stderr.on("data", (c) => {
    error += String(c);
  });
  await once(child, "close");
  return { said: said.trim(), error };
};
const check = async (title: string, work: () => Promise<void>): Promise<void> => {
  try {
    await work();
    process.stdout.write(`ok  ${title}\n`);
  } catch (e) {
    process.exitCode = 1;
    process.stdout.write(`not ok  ${title}: ${e instanceof Error ? e.message : String(e)}\n`);
  }
};

await check("50 MB come through a CONNECT over HTTP/2, equal hashes", async () => {
  const { said, error } = await curl("http://10.0.0.9:80/");
  assert.equal(said, `${sha(answer)} ${BIG}`, error);
  assert.deepEqual(asked, ["CONNECT 10.0.0.9:80 curl"]);
});
await check("20 MB go up", async () => {
  const body = randomBytes(20 << 20);
  writeFileSync(join(dir, "body"), body);
  const { said, error } = await curl("http://10.0.0.9:80/", join(dir, "body"));
  assert.equal(said, `${sha(Buffer.from(sha(body)))} 64`, error);
});
await check("a refusal is seen as one", async () => {
  const { error } = await curl("http://10.0.0.9:81/");
  assert.match(error, /curl: \((7|56)\)/);
  assert.equal(asked.at(-1), "CONNECT 10.0.0.9:81 curl");
});
tunnels.close();
web.close();
rmSync(dir, { recursive: true });
