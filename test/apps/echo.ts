// A server with one port for each way a protocol can behave; the end-to-end tests dial it.
import { createHash } from "node:crypto";
import { createServer as createHttp } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import { createServer, Server, type Socket } from "node:net";

const { POD_NAME = "?", NODE_NAME = "?", VERSION = "v1", NOT_READY = "", LINGER_MS = "0" } = process.env;
/** Told to end: whoever is still here is asked to come on another connection. */
let ending = false;

/** 64 KiB of a pattern that repeats with no power of two: shifted or lost bytes change every hash. */
const PATTERN = Buffer.from(Array.from({ length: 65_536 }, (_, i) => (i * 31 + (i >> 8) * 7) & 0xff));

/** Sends `total` bytes, waiting whenever the socket asks to. */
const pour = (socket: Socket, total: number): void => {
  let left = total;
  const more = (): void => {
    while (left > 0) {
      const chunk = left >= PATTERN.length ? PATTERN : PATTERN.subarray(0, left);
      left -= chunk.length;
      if (!socket.write(chunk)) {
        socket.once("drain", more);
        return;
      }
    }
    socket.end();
  };
  more();
};

const tcp = (port: number, serve: (socket: Socket) => void): void => {
  createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy()); // a peer that goes away is what half of the tests do
    serve(socket);
  }).listen(port, "::");
};

// 9000: says from where it was dialled, then echoes.
tcp(9000, (s) => {
  s.write(`${s.remoteAddress?.replace("::ffff:", "")}\n`);
  s.pipe(s);
});
// 9001: server first: greets before it is spoken to.
tcp(9001, (s) => s.write(`220 ${POD_NAME} ready\r\n`, () => s.once("data", (d) => s.end(`250 ${String(d)}`))));
// 9002: reads to the end of input, then answers with its hash: needs half-close.
tcp(9002, (s) => {
  const hash = createHash("sha256");
  s.on("data", (d) => hash.update(d));
  s.on("end", () => s.end(`${hash.digest("hex")}\n`));
});
// 9003: reads one line with a number of bytes, sends that many, and ends.
tcp(9003, (s) => s.once("data", (d) => pour(s, Number(String(d).trim()))));
// 9004: accepts and never reads.
tcp(9004, (s) => s.pause());

const describe = (req: {
  method?: string | undefined;
  url?: string | undefined;
  headers: object;
  socket: { remoteAddress?: string | undefined } | undefined;
  httpVersion: string;
}): string =>
  `${JSON.stringify({
    pod: POD_NAME,
    node: NODE_NAME,
    version: VERSION,
    method: req.method,
    path: req.url,
    headers: req.headers,
    protocol: req.httpVersion,
    from: req.socket?.remoteAddress?.replace("::ffff:", ""),
  })}\n`;

// 8080: HTTP/1.1; describes the request. /hash hashes the body, /bytes?n= sends that many, /status?code= answers it, /slow?ms= waits.
const plain = createHttp((req, res) => {
  const url = new URL(req.url ?? "/", "http://echo");
  const header = {
    ...(ending ? { connection: "close" } : {}),
    "content-type": "application/json",
    "x-pod": POD_NAME,
    "x-version": VERSION,
  };
  if (url.pathname === "/ready") {
    res.writeHead(NOT_READY === "" ? 200 : 503).end();
  } else if (url.pathname === "/hash") {
    const hash = createHash("sha256");
    req.on("data", (d) => hash.update(d));
    req.on("end", () => res.writeHead(200, header).end(hash.digest("hex")));
  } else if (url.pathname === "/bytes") {
    const n = Number(url.searchParams.get("n"));
    res.writeHead(200, { ...header, "content-length": n });
    let left = n;
    const more = (): void => {
      while (left > 0) {
        const chunk = PATTERN.subarray(0, Math.min(left, PATTERN.length));
        left -= chunk.length;
        if (!res.write(chunk)) {
          res.once("drain", more);
          return;
        }
      }
      res.end();
    };
    more();
  } else if (url.pathname === "/slow") {
    req.resume();
    const timer = setTimeout(() => res.writeHead(200, header).end("slow\n"), Number(url.searchParams.get("ms")));
    res.on("close", () => clearTimeout(timer));
  } else {
    req.resume();
    req.on("end", () => res.writeHead(Number(url.searchParams.get("code") ?? 200), header).end(describe(req)));
  }
});
plain.listen(8080, "::");

// 8081: HTTP/2 with prior knowledge.
createHttp2((req, res) => {
  req.resume();
  req.on("end", () => {
    res.writeHead(200, { "content-type": "application/json", "x-version": VERSION });
    res.end(describe({ method: req.method, url: req.url, headers: req.headers, socket: req.stream.session?.socket, httpVersion: "2.0" }));
  });
}).listen(8081, "::", () => process.stdout.write(`echo ${VERSION} (${POD_NAME}) is up\n`));

// At once, unless told to linger: then, as a decent server, it takes no new connections, answers what is under way, and goes.
process.once("SIGTERM", () => {
  if (LINGER_MS === "0") process.exit(0);
  ending = true;
  Server.prototype.close.call(plain);
  setTimeout(() => process.exit(0), Number(LINGER_MS));
});
