// What may be said after the handshake, and is everything else refused with the right alert?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ALERT, type AlertName, alertContent, PeerAlert, readAlert, TlsFault } from "./alerts.ts";
import { KEY_UPDATE_MESSAGE, MessageReader } from "./messages.ts";

const message = (type: number, body: Buffer): Buffer => Buffer.concat([Buffer.from([type, 0, body.length >> 8, body.length & 0xff]), body]);
const ticket = (n: number): Buffer => message(4, Buffer.alloc(n, 1));

const faults: { name: string; role: "client" | "server"; content: Buffer; alert: AlertName }[] = [
  { name: "nothing", role: "client", content: Buffer.alloc(0), alert: "unexpected_message" },
  { name: "a ticket from a client", role: "server", content: ticket(20), alert: "unexpected_message" },
  { name: "a request for a certificate", role: "client", content: message(13, Buffer.alloc(3)), alert: "unexpected_message" },
  { name: "a ClientHello (renegotiation)", role: "server", content: message(1, Buffer.alloc(40)), alert: "unexpected_message" },
  { name: "a key update without a body", role: "client", content: message(24, Buffer.alloc(0)), alert: "decode_error" },
  { name: "a key update of two octets", role: "client", content: message(24, Buffer.alloc(2)), alert: "decode_error" },
  { name: "a key update that asks for 2", role: "client", content: message(24, Buffer.from([2])), alert: "illegal_parameter" },
  {
    name: "something behind a key update",
    role: "client",
    content: Buffer.concat([KEY_UPDATE_MESSAGE.plain, ticket(8)]),
    alert: "unexpected_message",
  },
  { name: "a message of 16 MB", role: "client", content: Buffer.from([4, 0xff, 0xff, 0xff]), alert: "decode_error" },
];
for (const c of faults)
  test(`refused: ${c.name}`, () => {
    assert.throws(
      () => new MessageReader(c.role).push(c.content),
      (e) => e instanceof TlsFault && e.alert === c.alert,
    );
  });

test("tickets and key updates are read, over any boundaries", () => {
  const all = Buffer.concat([ticket(200), ticket(0), ticket(60), KEY_UPDATE_MESSAGE.requesting]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: all.length - 1 })), (cuts) => {
      const reader = new MessageReader("client");
      const at = [0, ...[...new Set(cuts)].sort((a, b) => a - b), all.length];
      const read = at.slice(1).flatMap((end, i) => reader.push(all.subarray(at[i] ?? 0, end)));
      assert.deepEqual(read, ["ticket", "ticket", "ticket", "key-update-requested"]);
      assert.equal(reader.partial, false);
    }),
  );
});

test("arbitrary octets are read or refused, never anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (octets) => {
      try {
        new MessageReader("client").push(Buffer.from(octets));
      } catch (e) {
        assert.ok(e instanceof TlsFault);
      }
    }),
  );
});

test("alerts", () => {
  assert.equal(readAlert(alertContent("close_notify")), "close");
  assert.equal(readAlert(alertContent("user_canceled")), "ignore");
  assert.deepEqual([...alertContent("close_notify")], [1, 0]);
  assert.deepEqual([...alertContent("bad_record_mac")], [2, 20]);
  for (const name of Object.keys(ALERT) as AlertName[]) {
    if (name === "close_notify" || name === "user_canceled") continue;
    assert.throws(
      () => readAlert(alertContent(name)),
      (e) => e instanceof PeerAlert && e.alert === name,
    );
  }
  assert.throws(() => readAlert(Buffer.from([2, 255])), /alert 255/);
  for (const bad of [[], [1], [1, 0, 0]]) assert.throws(() => readAlert(Buffer.from(bad)), TlsFault);
});
