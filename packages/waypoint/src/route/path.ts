// What is a request path to policies and routes? (Envoy's normalize_path, Istio's BASE)

export type SplitPath = { readonly path: string; readonly query: string | undefined };

/** At the first "?"; the query is undefined when there is none. */
export const splitPath = (target: string): SplitPath => {
  const at = target.indexOf("?");
  return at < 0 ? { path: target, query: undefined } : { path: target.slice(0, at), query: target.slice(at + 1) };
};

export const joinPath = (p: SplitPath): string => (p.query === undefined ? p.path : `${p.path}?${p.query}`);

const UNRESERVED = /^[A-Za-z0-9\-._~]$/;
const decodeUnreserved = (path: string): string =>
  path.replace(/%([0-9A-Fa-f]{2})/g, (whole: string, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(char) ? char : whole;
  });

/** RFC 3986 section 5.2.4, segment by segment. */
const removeDots = (path: string): string => {
  const out: string[] = [];
  const segments = path.split("/").slice(1);
  for (const [i, segment] of segments.entries()) {
    const last = i === segments.length - 1;
    if (segment === "..") out.pop();
    else if (segment !== ".") out.push(segment);
    if (last && (segment === "." || segment === "..")) out.push("");
  }
  return `/${out.join("/")}`;
};

/**
 * The path without what two readers could take differently: "\" is "/", unreserved characters are not encoded, no dot
 * segments. Slashes are not merged and %2F stays. "*" (of OPTIONS) is left alone. Idempotent.
 */
export const normalisePath = (path: string): string => {
  if (!path.startsWith("/")) return path;
  const plain = path.includes("\\") || path.includes("%") ? decodeUnreserved(path.replaceAll("\\", "/")) : path;
  return plain.includes("/.") ? removeDots(plain) : plain;
};
