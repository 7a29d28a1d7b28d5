// Is it told how long each certificate holds, and no more of those that are gone?

import assert from "node:assert/strict";
import { test } from "node:test";
import { testAuthority } from "../ca/fixture.ts";
import type { CertState } from "../ca/types.ts";
import { spiffeId } from "../identity/spiffe.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { meterCertificates, meterRevocations } from "./certificate-metrics.ts";

const NOW = Date.UTC(2026, 0, 1);

test("seconds to the end, negative after it; the state of all; nothing of those forgotten", async () => {
  const metrics = createMetrics();
  const authority = testAuthority(NOW);
  const of = (account: string, held: boolean): CertState => {
    const identity = spiffeId("cluster.local", "ns", account);
    const cert = held ? authority.cert(identity) : undefined;
    return { identity, state: held ? "Available" : "Initializing", error: undefined, cert };
  };
  let states = [of("a", true), of("b", false)];
  let now = NOW;
  const { refresh } = meterCertificates(metrics, { snapshot: () => states }, { now: () => now });
  const shown = async (): Promise<string[]> => {
    refresh();
    return (await metrics.expose(undefined)).body.split("\n").filter((l) => /^(istio_agent|ambit)/.test(l));
  };
  assert.deepEqual(await shown(), [
    'istio_agent_cert_expiry_seconds{resource_name="spiffe://cluster.local/ns/ns/sa/a"} 3600',
    'ambit_certificates{state="Available"} 1',
    'ambit_certificates{state="Initializing"} 1',
    'ambit_certificates{state="Unavailable"} 0',
  ]);
  now += 3_700_000;
  assert.match((await shown())[0] ?? "", / -100$/);
  states = [];
  assert.ok((await shown()).every((l) => !l.startsWith("istio_agent")));
});

test("refusals by reporter", async () => {
  const metrics = createMetrics();
  const events = meterRevocations(metrics);
  events.rejected("source");
  events.untracked("destination");
  const { body } = await metrics.expose(undefined);
  assert.match(body, /istio_crl_policy_rejections_total\{reporter="source"\} 1/);
  assert.match(body, /istio_crl_untracked_connections_total\{reporter="destination"\} 1/);
});
