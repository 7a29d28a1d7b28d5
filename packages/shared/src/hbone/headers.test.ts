// Are the headers of a CONNECT written as ztunnel has them, and read without trust?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseIp } from "../addr/ip.ts";
import { unwrap } from "../runtime/result.ts";
import { record } from "../wire/arbitrary.ts";
import { type Baggage, formatBaggage, formatForwarded, mintTraceparent, parseBaggage, parseForwarded } from "./headers.ts";

const full: Baggage = {
  clusterId: "Kubernetes",
  namespace: "ns",
  workloadType: "DEPLOYMENT",
  workloadName: "web",
  canonicalName: "web",
  canonicalRevision: "v1",
  region: "r",
  zone: "z",
};
const none: Baggage = {
  ...full,
  clusterId: "",
  namespace: "",
  workloadName: "",
  canonicalName: "",
  canonicalRevision: "",
  region: "",
  zone: "",
};

test("baggage is ztunnel's", () => {
  assert.equal(
    formatBaggage(full),
    "k8s.cluster.name=Kubernetes,k8s.namespace.name=ns,k8s.deployment.name=web,service.name=web,service.version=v1,cloud.region=r,cloud.availability_zone=z",
  );
  assert.equal(formatBaggage({ ...none, workloadType: "CRONJOB", workloadName: "j" }), "k8s.cronjob.name=j");
  assert.equal(formatBaggage(none), "");
});

test("baggage of any text is a header value, and comes back", () => {
  const word = fc.string({ minLength: 1, maxLength: 8, unit: "grapheme" });
  const any = record<Baggage>({
    clusterId: word,
    namespace: word,
    workloadName: word,
    canonicalName: word,
    canonicalRevision: word,
    region: word,
    zone: word,
    workloadType: fc.constantFrom("DEPLOYMENT" as const, "POD" as const, "JOB" as const, "CRONJOB" as const),
  });
  fc.assert(
    fc.property(any, (b) => {
      const text = formatBaggage(b);
      assert.match(text, /^[\x21-\x7e]*$/);
      assert.deepEqual(parseBaggage(text), b);
    }),
  );
});

test("strange baggage is read as far as it goes", () => {
  assert.deepEqual(parseBaggage("x=y, service.name = web;p=1 ,=,k8s.pod.name=a%ZZ,constructor=1,__proto__=2"), {
    canonicalName: "web",
    workloadType: "POD",
    workloadName: "a%ZZ",
  });
  fc.assert(fc.property(fc.string({ unit: "binary" }), (s) => assert.equal(typeof parseBaggage(s), "object")));
});

test("forwarded", () => {
  const v4 = { ip: unwrap(parseIp("10.0.0.1")), port: 80 };
  const v6 = { ip: unwrap(parseIp("fd00::1")), port: 80 };
  assert.equal(formatForwarded(v4), 'for="10.0.0.1:80"');
  assert.equal(formatForwarded(v6, "a.svc"), 'for="[fd00::1]:80";host=a.svc');
  assert.deepEqual(parseForwarded(formatForwarded(v6, "a.svc")), { source: v6, host: "a.svc" });
  assert.deepEqual(parseForwarded('For="10.0.0.1:80"; Host="h"; proto=http, for=x'), { source: v4, host: "h" });
  assert.deepEqual(parseForwarded("for=_hidden"), {});
  fc.assert(fc.property(fc.string({ unit: "binary" }), (s) => assert.equal(typeof parseForwarded(s), "object")));
});

test("traceparent is never all zero", () => {
  assert.equal(
    mintTraceparent(() => 0),
    "00-00000000000000000000000000000001-0000000000000001-00",
  );
  assert.equal(
    mintTraceparent(() => 0.9999999),
    "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-00",
  );
  assert.match(mintTraceparent(Math.random), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
});
