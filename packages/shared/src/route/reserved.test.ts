// Which header names may no route edit?
import assert from "node:assert/strict";
import { test } from "node:test";
import { isReserved, reservedEdit } from "./reserved.ts";

test("names that no route may edit, in any case and with underscores", () => {
  for (const name of [
    "Transfer-Encoding",
    "content-length",
    "Connection",
    "Keep-Alive",
    "upgrade",
    "TE",
    "trailer",
    "expect",
    "HTTP2-Settings",
    "proxy-authorization",
    "X-Forwarded-Client-Cert",
    "transfer_encoding",
    "Content_Length",
    "x_forwarded_client_cert",
  ])
    assert.equal(isReserved(name), true, name);
  for (const name of ["host", "x-forwarded-for", "content-type", "content-encoding", "authorization", "x-te"])
    assert.equal(isReserved(name), false, name);
});

test("the first such edit is named, whichever list it stands in", () => {
  const none = { set: [], add: [], remove: [] };
  assert.equal(reservedEdit(none), undefined);
  assert.equal(reservedEdit({ ...none, set: [{ name: "x", value: "1" }] }), undefined);
  assert.equal(reservedEdit({ ...none, add: [{ name: "Upgrade", value: "h2c" }] }), "Upgrade");
  assert.equal(reservedEdit({ ...none, remove: ["x", "content-length"] }), "content-length");
});
