// The shop's reviews service: says which version, pod and node answered.
import { createServer } from "node:http";

const { VERSION = "v1", POD_NAME = "?", NODE_NAME = "?", PORT = "9080" } = process.env;

const server = createServer((req, res) => {
  req.resume();
  req.on("end", () => {
    const verb = req.method === "DELETE" ? "deleted by " : "";
    res.writeHead(200, { "content-type": "text/plain", "x-version": VERSION, "x-pod": POD_NAME });
    res.end(`${verb}reviews ${VERSION} on ${NODE_NAME}\n`);
  });
});
server.listen(Number(PORT), "::", () => process.stdout.write(`reviews ${VERSION} (${POD_NAME}) listens on ${PORT}\n`));
// Kubernetes takes a pod out of its Services while it still gets SIGTERM: what arrives until then is served.
process.once("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
