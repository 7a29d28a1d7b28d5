// Is a token valid right now? (TokenReview, remembered for a short while)

import { createHash } from "node:crypto";
import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { TokenReview } from "@ambit/shared/kube/objects/core.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { err, type Result } from "@ambit/shared/runtime/result.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { type Caller, callerOf } from "./identity.ts";

export type TokenReviewer = (token: string) => Promise<Result<Caller>>;

export type ReviewOptions = {
  readonly client: Pick<KubeClient, "create">;
  readonly audiences: readonly string[];
  readonly world: World;
  /** How long a good answer is believed; a bad one never is. */
  readonly rememberMs?: number;
};

const MAX_REMEMBERED = 4_096;

/** An error when the token is bad; also, with its reason, when the API server cannot be asked. */
export const createTokenReviewer = ({ client, audiences, world, rememberMs = 10_000 }: ReviewOptions): TokenReviewer => {
  const remembered = new Map<string, { readonly until: number; readonly caller: Result<Caller> }>();
  const underWay = new Map<string, Promise<Result<Caller>>>();
  const ask = async (token: string, key: string): Promise<Result<Caller>> => {
    try {
      const review = await client.create<TokenReview>(RESOURCES.tokenReviews, { metadata: { name: "" }, spec: { token, audiences } });
      const caller = callerOf(review, audiences);
      if (caller.ok) {
        const [oldest] = remembered.keys();
        if (remembered.size >= MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
        remembered.set(key, { until: world.now() + rememberMs, caller });
      }
      return caller;
    } catch (cause) {
      return err(`the token could not be checked: ${cause instanceof Error ? cause.message : String(cause)}`);
    } finally {
      underWay.delete(key);
    }
  };
  return async (token) => {
    const key = createHash("sha256").update(token).digest("base64");
    const known = remembered.get(key);
    if (known !== undefined && known.until > world.now()) return known.caller;
    remembered.delete(key);
    const already = underWay.get(key);
    if (already !== undefined) return already;
    const asked = ask(token, key);
    underWay.set(key, asked);
    return asked;
  };
};
