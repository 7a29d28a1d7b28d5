// A data thread: what it is given, and how it is wired to the control thread. (the entry of its worker)

import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { createLineBuffer } from "@ambit/shared/telemetry/lines.ts";
import { createLogger } from "@ambit/shared/telemetry/log.ts";
import type { FromThread, ThreadSetup, ToThread } from "./messages.ts";
import { createDataThread } from "./serve.ts";

const run = (port: MessagePort): void => {
  const setup = workerData as ThreadSetup;
  const tell = (message: FromThread): void => port.postMessage(message);
  const out = createLineBuffer((lines) => tell({ kind: "lines", lines }));
  // Its last words, should something fail that nobody catches.
  process.on("uncaughtExceptionMonitor", out.flush);
  const logger = createLogger({ ...setup.config.log, out });
  logger.setLevels(setup.levels);
  const thread = createDataThread({ setup, tell, world: realWorld(), logger, flushLines: out.flush });
  port.on("message", (message: ToThread) => thread.onMessage(message));
  tell({ kind: "up" });
};

// Elsewhere than in a worker it is only read, so that its code is compiled beforehand.
if (parentPort !== null) run(parentPort);
