import assert from "node:assert/strict";
import { test } from "node:test";
import { iperfReading, wrkReading } from "./readings.ts";

const WRK = `Running 2s test @ http://10.244.2.3:8080/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.80ms    1.19ms  21.14ms   92.64%
    Req/Sec    11.62k     1.29k   13.06k    85.71%
  Latency Distribution
     50%    2.55ms
     75%    2.94ms
     90%    3.54ms
     99%  835.00us
  24299 requests in 2.10s, 28.30MB read
Requests/sec:  11570.62
Transfer/sec:     13.48MB
`;

test("iperf3: what arrived", () => {
  const said = JSON.stringify({ end: { sum_received: { bits_per_second: 2.5e9, bytes: 625_000_000 } } });
  assert.deepEqual(iperfReading(said), { ok: true, value: { gbits: 2.5, bytes: 625_000_000 } });
});
for (const [name, said, error] of [
  ["an error is no measurement", '{"end":{"sum_received":{"bits_per_second":5,"bytes":5}},"error":"Broken pipe"}', /Broken pipe/],
  ["nothing arrived", '{"end":{"sum_received":{"bits_per_second":0,"bytes":0}}}', /nothing arrived/],
  ["not JSON", "iperf3: refused", /did not print JSON/],
] as const)
  test(`iperf3: ${name}`, () => {
    const read = iperfReading(said);
    assert.ok(!read.ok);
    assert.match(String(read.error), error);
  });

test("wrk: rate and latencies in one unit", () => {
  assert.deepEqual(wrkReading(WRK), { ok: true, value: { perSecond: 11_570.62, p50Ms: 2.55, p99Ms: 0.835 } });
});
for (const trouble of ["  Non-2xx or 3xx responses: 12", "  Socket errors: connect 0, read 3, write 0, timeout 0"])
  test(`wrk: ${trouble.trim()} is no measurement`, () => {
    const read = wrkReading(`${WRK}${trouble}\n`);
    assert.ok(!read.ok);
    assert.match(String(read.error), /wrk says/);
  });
test("wrk: something else", () => assert.ok(!wrkReading("unable to connect").ok));
