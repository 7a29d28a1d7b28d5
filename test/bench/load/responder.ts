// Answers every 1 KB with 1 KB. Arguments: port, and "once" to end after the first answer. Prints "ready" when it listens.
import { createServer } from "node:net";

const SIZE = 1_024;
const [port = "", mode = ""] = process.argv.slice(2);
const ANSWER = Buffer.alloc(SIZE, "r");

createServer({ noDelay: true }, (socket) => {
  let pending = 0;
  socket.on("data", (d) => {
    pending += d.length;
    for (; pending >= SIZE; pending -= SIZE) {
      if (mode === "once") socket.end(ANSWER);
      else socket.write(ANSWER);
    }
  });
  socket.on("error", () => socket.destroy()); // measurements end by cutting
}).listen({ port: Number(port), host: "0.0.0.0", backlog: 1_024 }, () => process.stdout.write("ready\n"));
