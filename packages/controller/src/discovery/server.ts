// How do proxies get their configuration? (delta ADS on 15012)

import type { Result } from "@ambit/shared/runtime/result.ts";
import { createXdsServer, type XdsServer } from "@ambit/shared/xds/server.ts";
import type { Mesh } from "../model/mesh.ts";
import { bearerToken, type Caller } from "../tokens/identity.ts";
import { identifyProxy, type ProxyClient } from "./auth.ts";
import { servedTypes } from "./types.ts";

export type DiscoveryOptions = {
  readonly mesh: Mesh;
  readonly review: (token: string) => Promise<Result<Caller>>;
  /** "ns/sa" of those that may be ztunnels. */
  readonly ztunnelAccounts: readonly string[];
  readonly log: (event: string, fields: object) => void;
};

export const createDiscovery = ({ mesh, review, ztunnelAccounts, log }: DiscoveryOptions): XdsServer =>
  createXdsServer<ProxyClient>({
    types: servedTypes(mesh, log),
    authenticate: async ({ metadata, node }) => {
      const token = bearerToken(metadata.get("authorization"));
      const caller = token.ok ? await review(token.value) : token;
      return caller.ok ? identifyProxy(caller.value, node, ztunnelAccounts) : caller;
    },
    log,
  });
