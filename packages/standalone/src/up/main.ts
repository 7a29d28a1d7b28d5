// The supervisor process behind `ambit up`.

import { realWorld, stopSignal } from "@ambit/shared/runtime/run.ts";
import { parseUp } from "./config.ts";
import { UpError } from "./error.ts";
import { runUp } from "./run.ts";

const out = (line: string): void => void process.stdout.write(`${line}\n`);
const fail = (message: string): void => {
  process.stderr.write(`ambit up: ${message.replaceAll("\n", "\nambit up: ")}\n`);
  process.exitCode = 1;
};

// Whoever started us with a channel wants us gone when it is: also when it was killed and could not say so.
if (process.connected) process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));

const config = parseUp(process.argv.slice(2), process.env.HOME ?? "/root");
if (!config.ok) fail(config.error);
else {
  // sbin is where ip and nft live, and is not on everybody's PATH.
  const path = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;
  try {
    await runUp(config.value, { world: realWorld(), out, signal: stopSignal(), path });
  } catch (error) {
    if (!(error instanceof UpError)) throw error;
    fail(error.message);
  }
}
