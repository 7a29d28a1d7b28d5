// How does a pod get its service account tokens, and when new ones?

import type { TokenRequest } from "@ambit/shared/kube/objects/core.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { PodRef } from "../container/logs.ts";
import { type TokenRef, tokenKey } from "../pod/volumes.ts";
import type { KubeletDeps } from "./deps.ts";

type Held = { readonly token: string; readonly renewAt: number; readonly expiresAt: number };

export type PodTokens = {
  /** The tokens by tokenKey, asking for those that are missing or due. Throws when one cannot be had and the held one has expired. */
  get(refs: readonly TokenRef[]): Promise<ReadonlyMap<string, string>>;
  /** When to ask again: at 80 % of the shortest life (milliseconds since the epoch). */
  renewAt(): number | undefined;
};

export const createPodTokens = (deps: Pick<KubeletDeps, "client" | "world">, pod: PodRef, serviceAccount: string): PodTokens => {
  const held = new Map<string, Held>();
  const request = async (ref: TokenRef): Promise<Held> => {
    const now = deps.world.now();
    const answer = await deps.client.create<TokenRequest>(
      RESOURCES.serviceAccounts,
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        metadata: { name: serviceAccount, namespace: pod.namespace },
        spec: {
          ...(ref.audience === "" ? {} : { audiences: [ref.audience] }),
          expirationSeconds: ref.expirationSeconds,
          boundObjectRef: { kind: "Pod", apiVersion: "v1", name: pod.name, uid: pod.uid },
        },
      },
      { subresource: "token", parent: serviceAccount },
    );
    if (answer.status === undefined) throw new Error(`the API server gave no token for ${pod.namespace}/${serviceAccount}`);
    const expiresAt = Date.parse(answer.status.expirationTimestamp);
    return { token: answer.status.token, expiresAt, renewAt: now + (expiresAt - now) * 0.8 };
  };
  return {
    get: async (refs) => {
      for (const ref of refs) {
        const key = tokenKey(ref);
        const have = held.get(key);
        if (have !== undefined && deps.world.now() < have.renewAt) continue;
        try {
          held.set(key, await request(ref));
        } catch (e) {
          // The held token is good for the last fifth of its life: the pod keeps it while we ask again.
          if (have === undefined || deps.world.now() >= have.expiresAt) throw e;
          held.set(key, { ...have, renewAt: deps.world.now() + 10_000 });
        }
      }
      return new Map([...held].map(([key, h]) => [key, h.token]));
    },
    renewAt: () => (held.size === 0 ? undefined : Math.min(...[...held.values()].map((h) => h.renewAt))),
  };
};
