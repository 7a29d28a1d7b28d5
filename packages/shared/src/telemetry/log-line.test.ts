// Does one event stay one line, as Istio writes it?

import assert from "node:assert/strict";
import { test } from "node:test";
import { bare, createTimestamps, FieldGroup, jsonLine, type LogEvent, textLine } from "./log-line.ts";

const event = (fields: LogEvent["fields"], message = "connection complete"): LogEvent => ({
  time: "2026-08-20T10:11:12.123456Z",
  level: "info",
  scope: "access",
  message,
  fields,
});

const cases: readonly { name: string; event: LogEvent; text: string; json: string }[] = [
  {
    name: "an address is bare, text is quoted, numbers are plain",
    event: event({ "src.addr": bare("10.0.0.1:80"), "src.workload": "web 1", bytes_sent: 12 }),
    text: '2026-08-20T10:11:12.123456Z\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:80 src.workload="web 1" bytes_sent=12\n',
    json: '{"level":"info","time":"2026-08-20T10:11:12.123456Z","scope":"access","message":"connection complete","src.addr":"10.0.0.1:80","src.workload":"web 1","bytes_sent":12}\n',
  },
  {
    name: "an absent field is left out",
    event: event({ a: undefined, b: true }),
    text: "2026-08-20T10:11:12.123456Z\tinfo\taccess\tconnection complete\tb=true\n",
    json: '{"level":"info","time":"2026-08-20T10:11:12.123456Z","scope":"access","message":"connection complete","b":true}\n',
  },
  {
    name: "no field, no tab",
    event: event({}),
    text: "2026-08-20T10:11:12.123456Z\tinfo\taccess\tconnection complete\n",
    json: '{"level":"info","time":"2026-08-20T10:11:12.123456Z","scope":"access","message":"connection complete"}\n',
  },
  {
    name: "nothing that comes from outside starts a new line or column",
    event: event({ error: 'a\n2026 "x"', from: bare("x\ty") }, "m\r\nn"),
    text: '2026-08-20T10:11:12.123456Z\tinfo\taccess\tm\\r\\nn\terror="a\\n2026 \\"x\\"" from=x\\ty\n',
    json: '{"level":"info","time":"2026-08-20T10:11:12.123456Z","scope":"access","message":"m\\r\\nn","error":"a\\n2026 \\"x\\"","from":"x\\ty"}\n',
  },
  {
    name: "a field named like a column does not replace it",
    event: event({ level: "x" }),
    text: '2026-08-20T10:11:12.123456Z\tinfo\taccess\tconnection complete\tlevel="x"\n',
    json: '{"level":"info","time":"2026-08-20T10:11:12.123456Z","scope":"access","message":"connection complete","field.level":"x"}\n',
  },
];

for (const c of cases) {
  test(`text: ${c.name}`, () => assert.equal(textLine(c.event), c.text));
  test(`json: ${c.name}`, () => assert.equal(jsonLine(c.event), c.json));
}

test("microseconds are kept", () => {
  const at = createTimestamps();
  assert.equal(at(1_755_684_672_000_042), "2025-08-20T10:11:12.000042Z");
  assert.equal(at(1_755_684_672_999_999), "2025-08-20T10:11:12.999999Z");
  assert.equal(at(1_755_684_671_000_000), "2025-08-20T10:11:11.000000Z");
});

test("fields in groups print as the same fields in one record", () => {
  const fields = { "src.addr": bare("10.0.0.1:5"), name: 'q"', n: 3, level: "mine", none: undefined, nil: null };
  const event: LogEvent = { time: "t", level: "info", scope: "s", message: "m", fields };
  const { "src.addr": addr, name, ...rest } = fields;
  const group = new FieldGroup({ name });
  for (const line of [textLine, jsonLine])
    for (let again = 0; again < 2; again++)
      assert.equal(line({ ...event, fields: [{ "src.addr": addr }, group, new FieldGroup({}), rest] }), line(event));
  assert.deepEqual(JSON.parse(jsonLine(event)), {
    level: "info",
    time: "t",
    scope: "s",
    message: "m",
    "src.addr": "10.0.0.1:5",
    name: 'q"',
    n: 3,
    "field.level": "mine",
    nil: null,
  });
});
