// How is the API server configured? (environment variables, all mistakes told together)
//
// Run by hand: AMBIT_DATA_DIR=/tmp/x AMBIT_APISERVER_PORT=6443 node packages/standalone/src/apiserver/main.ts
// then KUBECONFIG=/tmp/x/kubeconfig kubectl get namespaces.

import { parseIp } from "@ambit/shared/addr/ip.ts";
import { type Env, integer, port, text } from "@ambit/shared/runtime/env.ts";
import { allOf, err, ok, type Result } from "@ambit/shared/runtime/result.ts";

export type FabricListener = {
  /** Path of the network namespace in which to listen, such as /run/netns/ambit-0123ab-fabric. */
  readonly netns: string;
  readonly address: string;
  readonly port: number;
};

export type ApiServerConfig = {
  /** Database, certificates and kubeconfig files live here. */
  readonly dataDir: string;
  readonly address: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
  readonly fabric: FabricListener | undefined;
  /** Client certificates and kubeconfigs are written for node1 … node<nodes>. */
  readonly nodes: number;
  /** Changes kept for watches to resume from. */
  readonly history: number;
  readonly bookmarkMs: number;
};

export const FABRIC_ADDRESS = "172.30.0.1";
export const FABRIC_PORT = 6443;

const address = (s: string): Result<string> => {
  const r = parseIp(s);
  return r.ok ? ok(r.value) : err("want an IP address");
};

/**
 * AMBIT_DATA_DIR (required); AMBIT_APISERVER_ADDRESS (127.0.0.1), AMBIT_APISERVER_PORT (6443), AMBIT_NODES (1),
 * AMBIT_FABRIC_NETNS (absent: no second listener), AMBIT_FABRIC_ADDRESS (172.30.0.1), AMBIT_FABRIC_PORT (6443),
 * AMBIT_APISERVER_HISTORY (5000 changes), AMBIT_APISERVER_BOOKMARK_MS (30000).
 */
export const parseConfig = (env: Env): Result<ApiServerConfig> => {
  const r = allOf({
    dataDir: env.required("AMBIT_DATA_DIR", text),
    address: env.optional("AMBIT_APISERVER_ADDRESS", address, "127.0.0.1"),
    port: env.optional("AMBIT_APISERVER_PORT", port, 6443),
    nodes: env.optional("AMBIT_NODES", integer(0, 100), 1),
    netns: env.optional("AMBIT_FABRIC_NETNS", text, undefined),
    fabricAddress: env.optional("AMBIT_FABRIC_ADDRESS", address, FABRIC_ADDRESS),
    fabricPort: env.optional("AMBIT_FABRIC_PORT", port, FABRIC_PORT),
    history: env.optional("AMBIT_APISERVER_HISTORY", integer(1, 1_000_000), 5000),
    bookmarkMs: env.optional("AMBIT_APISERVER_BOOKMARK_MS", integer(10, 3_600_000), 30_000),
  });
  if (!r.ok) return r;
  const { netns, fabricAddress, fabricPort, ...rest } = r.value;
  return ok({ ...rest, fabric: netns === undefined ? undefined : { netns, address: fabricAddress, port: fabricPort } });
};
