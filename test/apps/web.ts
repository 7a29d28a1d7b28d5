// The shop's front: asks reviews at a steady pace, logs each answer, and shows the last one to whoever looks.
import { createServer, get } from "node:http";

const { REVIEWS = "http://reviews:9080/", PORT = "8080", EVERY_MS = "200" } = process.env;
let last = "nothing yet";

const line = (text: string): void => {
  last = text;
  process.stdout.write(`${text}\n`);
};

const ask = (): void => {
  const call = get(REVIEWS, { agent: false, timeout: 5_000 }, (res) => {
    let body = "";
    res.setEncoding("utf8").on("data", (chunk: string) => {
      body += chunk;
    });
    res.on("end", () => line(`${res.statusCode} ${body.trim()}`));
  });
  call.on("timeout", () => call.destroy(new Error("no answer within 5 s")));
  call.on("error", (e) => line(`error ${e.message}`));
};

createServer((_req, res) => res.end(`${last}\n`)).listen(Number(PORT), "::", () => process.stdout.write(`web listens on ${PORT}\n`));
const beat = Number(EVERY_MS) > 0 ? setInterval(ask, Number(EVERY_MS)) : undefined;
process.once("SIGTERM", () => {
  clearInterval(beat);
  process.exit(0);
});
