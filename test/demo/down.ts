// make down: ends what `make up` started, and nothing else.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { dataDirOf } from "../world/cluster.ts";
import { until } from "../world/until.ts";
import { WORLD_NAME } from "./world.ts";

const pidFile = join(dataDirOf(`${WORLD_NAME}-up`), "up.pid");

/** The recorded process, if it is still the supervisor of our data directory and not some later process of the same number. */
const running = (pid: number): boolean => {
  const path = `/proc/${pid}/cmdline`;
  return existsSync(path) && readFileSync(path, "utf8").includes(dataDirOf(`${WORLD_NAME}-up`));
};

if (existsSync(pidFile)) {
  const pid = Number(readFileSync(pidFile, "utf8"));
  if (running(pid)) {
    process.kill(pid, "SIGTERM");
    await until("ambit up to end", () => (running(pid) ? undefined : true), 60_000);
    process.stdout.write("The world of make up has ended.\n");
  }
  rmSync(pidFile);
}
