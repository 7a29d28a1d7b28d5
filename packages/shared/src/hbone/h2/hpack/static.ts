// Which header fields does every HPACK peer know by number? (RFC 7541 appendix A)

export type Field = readonly [name: string, value: string];

const field = (line: string): Field => {
  const at = line.indexOf(" ", 1);
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
};

/** Index 1 is the first element. */
export const STATIC: readonly Field[] = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`
  .split("\n")
  .map(field);

/** By name first: most names have no whole field here, and then their values are not looked at. */
const BY_FIELD = new Map<string, Map<string, number>>();
STATIC.forEach(([name, value], i) => {
  const values = BY_FIELD.get(name) ?? new Map<string, number>();
  BY_FIELD.set(name, values.set(value, i + 1));
});
const BY_NAME = new Map([...STATIC].map(([name], i): [string, number] => [name, i + 1]).reverse());

/** The index of the whole field, or undefined. */
export const staticField = (name: string, value: string): number | undefined => BY_FIELD.get(name)?.get(value);

/** The lowest index with this name, or undefined. */
export const staticName = (name: string): number | undefined => BY_NAME.get(name);
