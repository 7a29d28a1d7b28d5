// Which header lists are requests and answers, and which cannot be sent?

import assert from "node:assert/strict";
import { test } from "node:test";
import { answerFields, connectFields, type Field, readAnswer, readRequest } from "./fields.ts";

const list = (text: string): Field[] =>
  text.split("|").map((f) => {
    const at = f.indexOf(" ", 1);
    return at < 0 ? [f, ""] : [f.slice(0, at), f.slice(at + 1)];
  });

const READ: Readonly<Record<string, string>> = {
  ":method CONNECT|:authority a:1": "CONNECT a:1 {}",
  ":authority a:1|:method CONNECT|baggage x=y|baggage z": 'CONNECT a:1 {"baggage":"x=y, z"}',
  ":method CONNECT|:authority a:1|te trailers|cookie a|cookie b": 'CONNECT a:1 {"te":"trailers","cookie":"a; b"}',
  ":method GET|:scheme https|:path /": "GET  {}",
  ":method GET|:scheme https|:path /|:authority a|__proto__ x": 'GET a {"__proto__":"x"}',
};
for (const [text, want] of Object.entries(READ)) {
  test(`read: ${text}`, () => {
    const r = readRequest(list(text));
    assert.ok(r.ok);
    assert.equal(`${r.value.method} ${r.value.authority} ${JSON.stringify(r.value.headers)}`, want);
  });
}

const REFUSED: Readonly<Record<string, RegExp>> = {
  ":authority a:1": /without a :method/,
  ":method CONNECT": /without an :authority/,
  ":method CONNECT|:authority a:1|:path /": /with :scheme or :path/,
  ":method CONNECT|:authority a:1|:protocol websocket": /":protocol" does not belong/,
  ":method CONNECT|:authority a:1|:status 200": /":status" does not belong/,
  ":method CONNECT|:method GET|:authority a": /":method" comes twice/,
  ":method CONNECT|x 1|:authority a:1": /comes after a header/,
  ":method GET|:scheme https": /without :scheme or :path/,
  ":method GET|:scheme https|:path": /without :scheme or :path/,
  ":method G T|:scheme https|:path /": /without a :method/,
  ":method CONNECT|:authority a:1|X-Upper 1": /not a header's name/,
  ":method CONNECT|:authority a:1|connection close": /belongs to HTTP\/1.1/,
  ":method CONNECT|:authority a:1|te gzip": /belongs to HTTP\/1.1/,
  ":method CONNECT|:authority a:1|x a\rb": /may not/,
  ":method CONNECT|:authority a:1|x a\nb": /may not/,
  ":method CONNECT|:authority a:1|x a\0b": /may not/,
  ":method CONNECT|:authority a:1|x  leading": /may not/,
  ":method CONNECT|:authority a:1|x trailing\t": /may not/,
};
for (const [text, why] of Object.entries(REFUSED)) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    const r = readRequest(list(text));
    assert.equal(r.ok, false);
    if (!r.ok) assert.match(r.error, why);
  });
}

test("answers: a status of three digits, and nothing else before the headers", () => {
  const r = readAnswer(list(":status 200|x y"));
  assert.deepEqual(r, { ok: true, value: { status: 200, headers: { x: "y" } } });
  for (const bad of [
    "x y",
    ":status 20",
    ":status 2000",
    ":status abc",
    ":status 600",
    ":status 101",
    ":status 200|:path /",
    ":status 200|:status 200",
  ])
    assert.equal(readAnswer(list(bad)).ok, false, bad);
});

test("what cannot be sent is a TypeError before anything is", () => {
  assert.deepEqual(connectFields("a:1", { Baggage: "x" }), [
    [":method", "CONNECT"],
    [":authority", "a:1"],
    ["baggage", "x"],
  ]);
  assert.deepEqual(answerFields(200, {}), [[":status", "200"]]);
  for (const headers of [{ "": "x" }, { "a b": "x" }, { ":path": "/" }, { a: "x\r\n" }, { a: "☃" }, { connection: "close" }])
    assert.throws(() => connectFields("a:1", headers as Record<string, string>), TypeError);
  for (const authority of ["", "a\n"]) assert.throws(() => connectFields(authority, {}), TypeError);
  for (const status of [100, 199, 600, Number.NaN, 200.5]) assert.throws(() => answerFields(status, {}), TypeError);
});
