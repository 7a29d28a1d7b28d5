// The supervisor process behind `ambit up`.

import { realWorld, stopSignal } from "@ambit/shared/runtime/run.ts";
import { parseUp } from "./config.ts";
import { UpError } from "./error.ts";
import { runUp } from "./run.ts";

// Who reads our lines may go before us (a closed terminal, a killed parent): taking things down goes on without a reader.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
const out = (line: string): void => void process.stdout.write(`${line}\n`);
const fail = (message: string): void => {
  process.stderr.write(`ambit up: ${message.replaceAll("\n", "\nambit up: ")}\n`);
  process.exitCode = 1;
};

/** Started by `ambit up` with an IPC channel: when that process is gone, even by kill -9, so is the channel, and so are we. */
const parentGone = (): AbortSignal => {
  const gone = new AbortController();
  if (process.channel !== undefined) {
    process.once("disconnect", () => gone.abort(new Error("ambit up is gone")));
    process.channel.unref();
  }
  return gone.signal;
};

const config = parseUp(process.argv.slice(2), process.env.HOME ?? "/root");
if (!config.ok) fail(config.error);
else {
  // sbin is where ip and nft live, and is not on everybody's PATH.
  const path = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;
  try {
    await runUp(config.value, { world: realWorld(), out, signal: AbortSignal.any([stopSignal(), parentGone()]), path });
  } catch (error) {
    if (!(error instanceof UpError)) throw error;
    fail(error.message);
  }
}
