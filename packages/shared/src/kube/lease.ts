// Who leads, and what does this candidate do next? (the rules of client-go's leaderelection)

import type { Lease } from "./objects/discovery.ts";

export type LeaseTimes = { readonly leaseMs: number; readonly renewMs: number; readonly retryMs: number };
export const LEASE_TIMES: LeaseTimes = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 };

/** What this candidate saw last, and when by its own clock: the holder's clock is never compared with ours. */
export type Observed = { readonly record: string; readonly at: number };

export type LeaseStep =
  | { readonly kind: "create"; readonly spec: LeaseSpec }
  | { readonly kind: "take"; readonly spec: LeaseSpec; readonly why: "released" | "expired" }
  | { readonly kind: "renew"; readonly spec: LeaseSpec }
  | { readonly kind: "wait"; readonly holder: string; readonly forMs: number };

type LeaseSpec = NonNullable<Lease["spec"]>;

/** Equal records mean the holder did not renew in between. */
export const recordOf = (lease: Lease | undefined): string =>
  [lease?.spec?.holderIdentity, lease?.spec?.renewTime, lease?.spec?.acquireTime, lease?.spec?.leaseTransitions].join("|");

/** Takes note of the lease as read now; the time moves only when the record did. */
export const observe = (before: Observed | undefined, lease: Lease | undefined, now: number): Observed => {
  const record = recordOf(lease);
  return before?.record === record ? before : { record, at: now };
};

/** The next step of candidate `self`, given the lease as just read and since when it has been unchanged. */
export const nextStep = (
  lease: Lease | undefined,
  observed: Observed,
  me: { readonly self: string; readonly now: number; readonly times: LeaseTimes },
): LeaseStep => {
  const stamp = microTime(me.now);
  const held = { holderIdentity: me.self, leaseDurationSeconds: Math.ceil(me.times.leaseMs / 1000), renewTime: stamp };
  if (lease === undefined) return { kind: "create", spec: { ...held, acquireTime: stamp, leaseTransitions: 0 } };
  const spec = lease.spec ?? {};
  const holder = spec.holderIdentity ?? "";
  if (holder === me.self) return { kind: "renew", spec: { ...spec, ...held } };
  const taken = { ...held, acquireTime: stamp, leaseTransitions: (spec.leaseTransitions ?? 0) + 1 };
  if (holder === "") return { kind: "take", spec: taken, why: "released" };
  const expiresAt = observed.at + (spec.leaseDurationSeconds ?? me.times.leaseMs / 1000) * 1000;
  if (me.now >= expiresAt) return { kind: "take", spec: taken, why: "expired" };
  return { kind: "wait", holder, forMs: Math.min(me.times.retryMs, expiresAt - me.now) };
};

/** True once a leader that could not renew must stop acting: others may take the lease soon after. */
export const mustStep = (renewedAt: number, now: number, times: LeaseTimes): boolean => now - renewedAt >= times.renewMs;

/** The spec a leader leaves behind on a clean exit, so that the next need not wait. */
export const released = (lease: Lease, now: number): LeaseSpec => ({
  ...lease.spec,
  holderIdentity: "",
  leaseDurationSeconds: 1,
  renewTime: microTime(now),
});

/** metav1.MicroTime: RFC 3339 with six decimals. */
export const microTime = (ms: number): string => new Date(ms).toISOString().replace("Z", "000Z");
