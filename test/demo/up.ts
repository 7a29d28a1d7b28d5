// make up: the demo's world, left running, and how to use it.
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { attach, dataDirOf } from "../world/cluster.ts";
import { NODE, UP_MAIN } from "../world/paths.ts";
import { until } from "../world/until.ts";
import { createStage } from "./stage.ts";
import { installShopAndMesh, WORLD_NAME } from "./world.ts";

const stage = createStage((text) => void process.stdout.write(text));
const dataDir = dataDirOf(`${WORLD_NAME}-up`);
mkdirSync(dataDir, { recursive: true });
const log = join(dataDir, "up.log");
const out = openSync(log, "w");
const child = spawn(NODE, [UP_MAIN, "--nodes", "2", "--data", dataDir], { detached: true, stdio: ["ignore", out, out] });
closeSync(out);
child.unref();
writeFileSync(join(dataDir, "up.pid"), `${child.pid}\n`);
try {
  await until(
    "ambit up",
    () => {
      const text = existsSync(log) ? readFileSync(log, "utf8") : "";
      if (child.exitCode !== null) throw new Error(text.trim());
      return / ready in [\d.]+ s/.test(text) ? text : undefined;
    },
    90_000,
  ).catch((e: unknown) => {
    const text = readFileSync(log, "utf8").trim();
    throw new Error(text === "" ? String(e) : text);
  });
  stage.output(readFileSync(log, "utf8"));
  const cluster = attach(dataDir);
  await installShopAndMesh(cluster, stage);
  await cluster.client.close();
  process.stdout.write(`
The shop runs, outside the mesh so far. To work with it:

  export KUBECONFIG=${cluster.kubeconfig}
  export PATH=$PATH:${join(import.meta.dirname, "..", "..", "scripts", "bin")}

  kubectl label namespace shop istio.io/dataplane-mode=ambient   # capture it
  ambit ztunnel-config workload                                  # who is in the mesh
  kubectl -n shop logs deploy/web --tail=3                       # its traffic goes on
  ambit -n shop waypoint apply --wait                            # deploy an L7 proxy
  kubectl -n shop label service reviews istio.io/use-waypoint=waypoint
  ambit -n shop explain web reviews:9080 --method DELETE         # why does a call go where it goes?

make down ends it.
`);
  process.exit(0);
} catch (e) {
  process.stderr.write(`ambit: ${e instanceof Error ? e.message : String(e)}\n`);
  child.kill("SIGTERM");
  process.exit(1);
}
