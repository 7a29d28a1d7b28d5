// What does the node process need to know, and how is it told?
//
// It is started inside its node's network namespace, and not by `ip netns exec` (which makes a private mount namespace, where
// namespaces that it makes would be invisible to everyone else):
//   nsenter --net=/run/netns/ambit-<id>-node<n> -- node packages/standalone/src/node/main.ts
// It takes no arguments; these are its variables:
//   AMBIT_INSTANCE      six hex digits                              AMBIT_NODE          1 to 200
//   AMBIT_DATA_DIR      where logs are kept                         KUBECONFIG          credentials for https://172.30.0.1:6443
//   AMBIT_REGION        default "region1"                           AMBIT_ZONE          default "zone<n>"
//   AMBIT_IMAGES        a JSON file of image → command, over the built-in table (optional)
//   AMBIT_LOG_LEVEL     default "info"

import { bool, type Env, integer, text } from "@ambit/shared/runtime/env.ts";
import { allOf, err, ok, type Result } from "@ambit/shared/runtime/result.ts";

export type NodeConfig = {
  readonly id: string;
  readonly number: number;
  readonly dataDir: string;
  readonly kubeconfig: string;
  readonly region: string;
  readonly zone: string | undefined;
  readonly images: string | undefined;
  readonly logLevel: string;
  readonly logJson: boolean;
};

const instanceId = (s: string): Result<string> => (/^[0-9a-z]{1,8}$/.test(s) ? ok(s) : err("want six hex digits"));
const path = (s: string): Result<string> => (s.startsWith("/") ? ok(s) : err("want an absolute path"));

export const parseConfig = (env: Env): Result<NodeConfig> =>
  allOf({
    id: env.required("AMBIT_INSTANCE", instanceId),
    number: env.required("AMBIT_NODE", integer(1, 200)),
    dataDir: env.required("AMBIT_DATA_DIR", path),
    kubeconfig: env.required("KUBECONFIG", path),
    region: env.optional("AMBIT_REGION", text, "region1"),
    zone: env.optional("AMBIT_ZONE", text, undefined),
    images: env.optional("AMBIT_IMAGES", path, undefined),
    logLevel: env.optional("AMBIT_LOG_LEVEL", text, "info"),
    logJson: env.optional("AMBIT_LOG_JSON", bool, false),
  });
