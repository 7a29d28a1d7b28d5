// Do logs and upgraded connections reach the kubelet's socket unchanged?

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { startServer, type TestServer } from "../testing/client.ts";
import { SOCKET_ANNOTATION } from "./target.ts";

const NS = "/api/v1/namespaces/default";

describe("the way to a kubelet", () => {
  let server: TestServer;
  let kubelet: Server;
  const asked: string[] = [];
  before(async () => {
    server = await startServer();
    const socketPath = join(server.dir, "kubelet.sock");
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "v5.channel.k8s.io" });
    kubelet = createServer((req, res) => {
      asked.push(req.url ?? "");
      assert.equal(req.headers.authorization, undefined, "the client's credentials stay at the API server");
      if ((req.url ?? "").startsWith("/containerLogs/default/p/b")) {
        res.writeHead(404);
        res.end("no such container log");
        return;
      }
      res.write("line 1\n");
      res.end("line 2\n");
    });
    kubelet.on("upgrade", (req, socket, head) => {
      asked.push(req.url ?? "");
      sockets.handleUpgrade(req, socket, head, (ws) => {
        ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
      });
    });
    kubelet.listen(socketPath);
    await once(kubelet, "listening");
    const post = (path: string, body: unknown) => server.admin.call("POST", path, { body });
    await post(`${NS}/serviceaccounts`, { metadata: { name: "default" } });
    await post("/api/v1/nodes", { metadata: { name: "node1", annotations: { [SOCKET_ANNOTATION]: socketPath } } });
    const containers = [
      { name: "a", image: "x" },
      { name: "b", image: "x" },
    ];
    await post(`${NS}/pods`, { metadata: { name: "p" }, spec: { nodeName: "node1", containers } });
    await post(`${NS}/pods`, { metadata: { name: "alone" }, spec: { nodeName: "nowhere", containers: containers.slice(0, 1) } });
    await post(`${NS}/pods`, { metadata: { name: "waiting" }, spec: { containers: containers.slice(0, 1) } });
  });
  after(async () => {
    kubelet.close();
    await server[Symbol.asyncDispose]();
  });

  test("logs: streamed, container chosen, errors in their words", async () => {
    const good = await server.admin.call("GET", `${NS}/pods/p/log?container=a&follow=true&tailLines=5`);
    assert.deepEqual([good.code, good.body.text], [200, "line 1\nline 2\n"]);
    assert.equal(asked.at(-1), "/containerLogs/default/p/a?follow=true&tailLines=5");
    const message = async (path: string) => {
      const a = await server.admin.call("GET", `${NS}/pods/${path}`);
      return [a.code, a.body.message];
    };
    assert.deepEqual(await message("p/log"), [400, "a container name must be specified for pod p, choose one of: [a b]"]);
    assert.deepEqual(await message("p/log?container=c"), [400, "container c is not valid for pod p"]);
    assert.deepEqual(await message("p/log?container=b"), [404, "no such container log"]);
    assert.deepEqual(await message("absent/log"), [404, 'pods "absent" not found']);
    assert.deepEqual(await message("waiting/log"), [400, "pod waiting does not have a host assigned"]);
    assert.equal((await message("alone/log"))[0], 503);
    assert.equal((await message("p/exec?container=a"))[0], 400);
  });

  const dial = (path: string, headers: { [k: string]: string } = {}, withCertificate = true): WebSocket => {
    const { keyPem, certificatePem } = server.app.pki.client("admin", "kubernetes-admin", ["system:masters"]);
    const tls = withCertificate ? { key: keyPem, cert: certificatePem } : {};
    return new WebSocket(`${server.app.url.replace("https", "wss")}${NS}/pods/${path}`, ["v5.channel.k8s.io"], {
      ca: server.app.caPem,
      headers,
      ...tls,
    });
  };

  test("exec: a WebSocket passes byte for byte", async () => {
    const ws = dial("p/exec?container=a&command=sh&command=-c&stdin=true");
    await once(ws, "open");
    assert.equal(ws.protocol, "v5.channel.k8s.io");
    assert.equal(asked.at(-1), "/exec/default/p/a?command=sh&command=-c&stdin=true");
    const bytes = Buffer.alloc(300_000, 7);
    ws.send(bytes);
    const [echo]: unknown[] = await once(ws, "message");
    assert.ok(Buffer.isBuffer(echo) && echo.equals(bytes));
    const closed = once(ws, "close");
    ws.close();
    await closed;
  });

  test("upgrades are refused like any request", async () => {
    const refusal = async (ws: WebSocket): Promise<number> => {
      ws.on("error", () => {}); // ws also reports the refused upgrade as an error
      const [, response]: { statusCode?: number }[] = await once(ws, "unexpected-response");
      ws.terminate();
      return response?.statusCode ?? 0;
    };
    assert.equal(await refusal(dial("p/exec?container=a", {}, false)), 401);
    assert.equal(await refusal(dial("p/exec?container=c")), 400);
    assert.equal(await refusal(dial("absent/exec")), 404);
    assert.equal(await refusal(dial("p/log")), 400);
    assert.equal(await refusal(dial("p/exec?container=a", { "impersonate-user": "nobody" })), 403);
  });
});
