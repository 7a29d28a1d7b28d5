// Answers every 1 KB with 1 KB. Arguments: port. Prints "ready" when it listens.
import { createServer } from "node:net";

const SIZE = 1_024;
const ANSWER = Buffer.alloc(SIZE, "r");

createServer({ noDelay: true }, (socket) => {
  let pending = 0;
  socket.on("data", (d) => {
    pending += d.length;
    for (; pending >= SIZE; pending -= SIZE) socket.write(ANSWER);
  });
  socket.on("error", () => socket.destroy()); // measurements end by cutting
}).listen({ port: Number(process.argv[2]), host: "0.0.0.0", backlog: 1_024 }, () => process.stdout.write("ready\n"));
