// Whom do we believe a token to be?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { TokenReview } from "@ambit/shared/kube/objects/core.ts";
import { createTokenReviewer } from "./client.ts";
import { bearerToken, callerOf } from "./identity.ts";

const review = (status: TokenReview["status"]): TokenReview => ({
  metadata: { name: "" },
  spec: { token: "t" },
  ...(status === undefined ? {} : { status }),
});
const user = {
  username: "system:serviceaccount:shop:web",
  extra: { "authentication.kubernetes.io/pod-name": ["web-1"], "authentication.kubernetes.io/pod-uid": ["u"] },
};

const cases: readonly { readonly name: string; readonly status: TokenReview["status"]; readonly expect: string }[] = [
  { name: "valid", status: { authenticated: true, audiences: ["istio-ca"], user }, expect: "shop/web web-1 u" },
  {
    name: "not bound to a pod",
    status: { authenticated: true, audiences: ["istio-ca"], user: { username: user.username } },
    expect: "shop/web",
  },
  { name: "not authenticated", status: { authenticated: false, error: "expired" }, expect: "the token is not valid: expired" },
  { name: "no status", status: undefined, expect: "the token is not valid" },
  { name: "another audience", status: { authenticated: true, audiences: ["api"], user }, expect: "the token is not for audience istio-ca" },
  { name: "a server that knows no audiences", status: { authenticated: true, user }, expect: "the token is not for audience istio-ca" },
  {
    name: "a person",
    status: { authenticated: true, audiences: ["istio-ca"], user: { username: "kubernetes-admin" } },
    expect: "the token does not belong to a service account",
  },
  {
    name: "a name with too many parts",
    status: { authenticated: true, audiences: ["istio-ca"], user: { username: "system:serviceaccount:a:b:c" } },
    expect: "the token does not belong to a service account",
  },
];
for (const c of cases)
  test(`token: ${c.name}`, () => {
    const r = callerOf(review(c.status), ["istio-ca"]);
    assert.equal(
      r.ok ? [`${r.value.namespace}/${r.value.serviceAccount}`, r.value.pod?.name, r.value.pod?.uid].filter(Boolean).join(" ") : r.error,
      c.expect,
    );
  });

const headers: readonly (readonly [readonly unknown[], string | undefined])[] = [
  [["Bearer abc"], "abc"],
  [["bearer abc"], "abc"],
  [[], undefined],
  [["Basic abc"], undefined],
  [["Bearer "], undefined],
  [["Bearer a", "Bearer b"], undefined],
  [[Buffer.from("Bearer a")], undefined],
];
for (const [values, expect] of headers)
  test(`authorization ${JSON.stringify(values)}`, () => {
    const r = bearerToken(values);
    assert.equal(r.ok ? r.value : undefined, expect);
  });

test("a good answer is remembered for a while, a bad one never, and questions under way are shared", async () => {
  let now = 0;
  const asked: string[] = [];
  let good = true;
  const reviewed = createTokenReviewer({
    client: {
      create: async <T>(_r: unknown, object: unknown) => {
        asked.push((object as TokenReview).spec.token);
        return review(good ? { authenticated: true, audiences: ["istio-ca"], user } : { authenticated: false }) as T;
      },
    },
    audiences: ["istio-ca"],
    world: { now: () => now, random: () => 0, sleep: async () => undefined },
    rememberMs: 1_000,
  });
  await Promise.all([reviewed("a"), reviewed("a")]);
  await reviewed("a");
  assert.deepEqual(asked, ["a"]);
  now = 1_001;
  good = false;
  assert.equal((await reviewed("a")).ok, false);
  assert.equal((await reviewed("a")).ok, false);
  assert.deepEqual(asked, ["a", "a", "a"]);
});
