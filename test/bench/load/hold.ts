// Opens connections, uses each once, and holds them until its input ends. Arguments: host, port, how many. Prints "held N".
import { once } from "node:events";
import { connect } from "node:net";

const [host = "", port = "", count = ""] = process.argv.slice(2);
const LANES = 16;
const ASK = Buffer.alloc(1_024, "a");
const held: import("node:net").Socket[] = [];
let begun = 0;

const lane = async (): Promise<void> => {
  while (begun < Number(count)) {
    begun++;
    const socket = connect({ host, port: Number(port), noDelay: true });
    await once(socket, "connect");
    socket.write(ASK);
    await once(socket, "data");
    held.push(socket);
    socket.on("close", () => {
      process.stderr.write("hold: a connection was closed from the other end\n");
      process.exit(1);
    });
  }
};
await Promise.all(Array.from({ length: LANES }, lane));
process.stdout.write(`held ${held.length}\n`);
process.stdin.resume().on("end", () => process.exit(0));
