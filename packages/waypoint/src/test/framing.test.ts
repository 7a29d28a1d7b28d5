// Attacks on where a message ends: whatever routes say, exactly one framing leaves, and it is ours.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { byteStream } from "../bytes/stream.ts";
import type { HeaderFields } from "../http/message.ts";
import { bufferBody, emptyBody } from "../http/message.ts";
import { http1Client } from "../http1/client.ts";
import { ask, backend, echo } from "./helpers.ts";
import { aPort, aRule, createRig, listening } from "./rig.ts";

/** The bytes that the HTTP/1.1 client writes for these headers, until the body's last byte has come. */
const onTheWire = async (headers: HeaderFields, body: string): Promise<string> => {
  const all = Promise.withResolvers<string>();
  const server = createServer((s: Socket) => {
    let got = "";
    s.on("error", () => undefined);
    s.on("data", (c: Buffer) => {
      got += c.toString("latin1");
      if (got.includes("\r\n\r\n") && got.endsWith(body)) all.resolve(got);
    });
  });
  const socket = connect(await listening(server), "127.0.0.1");
  await once(socket, "connect");
  const client = http1Client(byteStream(socket));
  const content = body === "" ? emptyBody : bufferBody(Buffer.from(body));
  const request = { method: "POST", path: "/public", authority: "a", scheme: "http", headers, body: content, upgrade: undefined };
  void client.send({ ...request, interim: () => undefined }, new AbortController().signal, () => undefined);
  const got = await all.promise;
  client.close();
  server.close();
  return got;
};

const SMUGGLED = "0\r\n\r\nDELETE /private HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";

test("the HTTP/1.1 client writes its own framing only, whatever stands among the headers", async () => {
  const table: HeaderFields[] = [
    [["transfer-encoding", "chunked"]],
    [
      ["content-length", "3"],
      ["content-length", "999"],
    ],
    [["connection", "keep-alive, content-length"]],
    [
      ["upgrade", "h2c"],
      ["http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"],
      ["connection", "Upgrade, HTTP2-Settings"],
    ],
    [["keep-alive", "timeout=9999"]],
    [["te", "gzip"]],
  ];
  for (const headers of table) {
    const [head = ""] = (await onTheWire(headers, SMUGGLED)).split("\r\n\r\n");
    const names = head
      .split("\r\n")
      .slice(1)
      .map((line) => line.replace(/:.*/, ""));
    assert.deepEqual(names, ["host", "content-length"], head);
    assert.match(head, new RegExp(`content-length: ${SMUGGLED.length}$`));
  }
});

test("a route that sets a framing header, or who the caller is, fails the request: nothing of it reaches the backend", async () => {
  await using rig = createRig();
  let seen = 0;
  await using server = await backend((req, res) => {
    seen += 1;
    echo(req, res);
  });
  rig.backends("reviews", [server.port]);
  const entry = await rig.entry();
  for (const name of ["Transfer-Encoding", "Content-Length", "connection", "X-Forwarded-Client-Cert", "x_forwarded_client_cert"])
    for (const kind of ["request-headers", "response-headers"] as const) {
      const edits = { set: [{ name, value: "chunked" }], add: [], remove: [] };
      rig.push({ ports: [aPort({ rules: [aRule({ filters: [{ kind, edits }] })] })] });
      const answer = await ask(entry, { method: "POST", body: SMUGGLED });
      assert.deepEqual([answer.status, rig.seen.at(-1)?.ctx.report.failure?.code], [500, "INVALID_BACKEND"], name);
    }
  assert.equal(seen, 0);
});

test("who the caller is comes from its certificate: a forged name in another spelling or in trailers does not pass", async () => {
  await using rig = createRig();
  const trailers = Promise.withResolvers<object>();
  await using server = await backend((req, res) => {
    req.on("end", () => trailers.resolve(req.trailers));
    echo(req, res);
  });
  rig.backends("reviews", [server.port]);
  const s = connect(await rig.entry(), "127.0.0.1");
  s.write("POST / HTTP/1.1\r\nhost: a\r\nx_forwarded_client_cert: URI=spiffe://evil\r\nX-Forwarded-Client-Cert: URI=spiffe://evil\r\n");
  s.write("x_forwarded_for: 1.1.1.1\r\ncontent_length: 7\r\nx_ordinary: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n");
  s.write("x-forwarded-client-cert: URI=spiffe://evil\r\nX-Forwarded-For: 1.1.1.1\r\nforwarded: for=1.1.1.1\r\nx_forwarded_for: 2\r\n");
  s.write("x-checksum: abc\r\n\r\n");
  let text = "";
  for await (const c of s) {
    text += String(c);
    if (text.endsWith("}")) break;
  }
  assert.deepEqual({ ...(await trailers.promise) }, { "x-checksum": "abc" });
  assert.ok(!text.includes("evil") && !text.includes("1.1.1.1") && !text.includes("content_length"), text);
  assert.ok(text.includes('"x_ordinary":"1"') && text.includes("URI=spiffe://cluster.local/ns/shop/sa/web"), text);
});
