// What do the attributes of an AuthorizationPolicy's source, operation or condition mean, and which can nobody here honour?

import { parseCidr } from "@ambit/shared/addr/cidr.ts";
import { parsePort } from "@ambit/shared/addr/socket.ts";
import { EMPTY_MATCH, type Match, type ServiceAccountMatch, type StringMatch } from "@ambit/shared/authz/types.ts";
import { all, err, ok, type Result } from "@ambit/shared/runtime/result.ts";

/** Who will enforce: a ztunnel sees connections, a waypoint requests. */
export type Enforcer = "ztunnel" | "waypoint";

/** One source, operation or condition, with what could not be taken over. */
export type Compiled = {
  readonly match: Match;
  /** Attributes that need HTTP, met where there is none (ztunnel). */
  readonly http: readonly string[];
  /** Sentences naming a field and what is wrong with it: unknown, malformed, or not supported. */
  readonly bad: readonly string[];
};

type FieldOf = (values: readonly string[]) => Result<Partial<Match>>;
type Fields = Readonly<Record<string, FieldOf>>;

/** "*" is presence, "*x" ends with x, "x*" begins with x, anything else is exact. */
const parseStringMatch = (text: string): StringMatch => {
  if (text === "*") return { kind: "presence" };
  if (text.startsWith("*")) return { kind: "suffix", value: text.slice(1) };
  if (text.endsWith("*")) return { kind: "prefix", value: text.slice(0, -1) };
  return { kind: "exact", value: text };
};

/** Istio would take a `*` elsewhere for itself, and a DENY that was meant as a pattern would match nothing, unseen: so it is refused. */
const parsePattern = (text: string): Result<StringMatch> =>
  text.length > 1 && text.replace(/^\*|\*$/, "").includes("*")
    ? err(`${JSON.stringify(text)}: a * may only be the first or the last character`)
    : ok(parseStringMatch(text));

/** Paths may also be templates: `{*}` for a segment, `{**}` (last) for the rest. */
const parsePathMatch = (text: string): Result<StringMatch> => {
  if (!text.includes("{") && !text.includes("}")) {
    const pattern = parsePattern(text);
    return pattern.ok ? pattern : err(`${pattern.error}; use {*} for one whole segment`);
  }
  const parts = text.split("/");
  const wrong = parts.some((p, i) => /[{}*]/.test(p) && p !== "{*}" && !(p === "{**}" && i === parts.length - 1));
  return wrong
    ? err(`${JSON.stringify(text)} is not a path template: use {*} for one whole segment, {**} for the rest at the end`)
    : ok({ kind: "template", value: text });
};

const listOf =
  <T>(field: keyof Match, parse: (text: string) => Result<T>): FieldOf =>
  (values) => {
    const parsed = all(values.map(parse));
    return parsed.ok ? ok({ [field]: parsed.value }) : parsed;
  };
const strings = (field: keyof Match): FieldOf => listOf(field, parsePattern);
const hosts = (field: "hosts" | "notHosts"): FieldOf => listOf(field, (v) => parsePattern(v.toLowerCase()));
const prefixOf = (field: keyof Match): FieldOf =>
  listOf(field, (td) =>
    td.includes("*")
      ? err(`${JSON.stringify(td)}: only whole trust domains can be matched`)
      : ok<StringMatch>({ kind: "prefix", value: `${td}/` }),
  );

const accounts = (field: keyof Match, namespace: string): FieldOf =>
  listOf<ServiceAccountMatch>(field, (text) => {
    const parts = text.split("/");
    const [first = "", second] = parts;
    if (text.includes("*") || parts.length > 2 || parts.includes(""))
      return err(`${JSON.stringify(text)} is not "service-account" or "namespace/service-account"`);
    return ok(second === undefined ? { namespace, serviceAccount: first } : { namespace: first, serviceAccount: second });
  });

const L4_SOURCE = (namespace: string): Fields => ({
  principals: strings("principals"),
  notPrincipals: strings("notPrincipals"),
  namespaces: strings("namespaces"),
  notNamespaces: strings("notNamespaces"),
  serviceAccounts: accounts("serviceAccounts", namespace),
  notServiceAccounts: accounts("notServiceAccounts", namespace),
  ipBlocks: listOf("sourceIps", parseCidr),
  notIpBlocks: listOf("notSourceIps", parseCidr),
});
const L4_OPERATION: Fields = { ports: listOf("destinationPorts", parsePort), notPorts: listOf("notDestinationPorts", parsePort) };
const HTTP_OPERATION: Fields = {
  hosts: hosts("hosts"),
  notHosts: hosts("notHosts"),
  methods: strings("methods"),
  notMethods: strings("notMethods"),
  paths: listOf("paths", parsePathMatch),
  notPaths: listOf("notPaths", parsePathMatch),
};
/** Istio's names that need a token or a trusted X-Forwarded-For: known, but not enforced by this waypoint. */
const HTTP_ONLY: ReadonlySet<string> = new Set([
  "requestPrincipals",
  "notRequestPrincipals",
  "remoteIpBlocks",
  "notRemoteIpBlocks",
  ...Object.keys(HTTP_OPERATION),
]);

const merge = (a: Match, b: Partial<Match>): Match => ({ ...a, ...b });

/** Takes over the fields the enforcer has; the rest goes to `http` or `bad`. */
const compileFields = (object: unknown, where: string, known: { readonly fields: Fields; readonly by: Enforcer }): Compiled => {
  let match = EMPTY_MATCH;
  const http: string[] = [];
  const bad: string[] = [];
  const entries =
    typeof object === "object" && object !== null ? Object.entries(object).filter(([, v]) => !Array.isArray(v) || v.length > 0) : [];
  if (entries.length === 0) bad.push(`${where} is empty: name at least one attribute`);
  for (const [name, values] of entries) {
    const field = Object.hasOwn(known.fields, name) ? known.fields[name] : undefined;
    if (field === undefined) {
      if (known.by === "ztunnel" && HTTP_ONLY.has(name)) http.push(name);
      else bad.push(`${where}.${name} is not supported by a ${known.by}: remove it`);
      continue;
    }
    const parsed = isStrings(values) ? field(values) : err("want a list of texts");
    if (parsed.ok) match = merge(match, parsed.value);
    else bad.push(`${where}.${name}: ${parsed.error}`);
  }
  return { match, http, bad };
};

const isStrings = (v: unknown): v is readonly string[] => Array.isArray(v) && v.every((x) => typeof x === "string");

export type Where = { readonly by: Enforcer; readonly namespace: string; readonly path: string };

export const compileSource = (source: unknown, at: Where): Compiled =>
  compileFields(source, at.path, { fields: L4_SOURCE(at.namespace), by: at.by });

export const compileOperation = (operation: unknown, at: Where): Compiled =>
  compileFields(operation, at.path, { fields: at.by === "waypoint" ? { ...L4_OPERATION, ...HTTP_OPERATION } : L4_OPERATION, by: at.by });

/** Which pair of fields a `when` key sets: for its values, and for its notValues. */
const conditionFields = (key: string, at: Where): readonly [FieldOf, FieldOf] | undefined => {
  const pair = (yes: FieldOf, not: FieldOf) => [yes, not] as const;
  switch (key) {
    case "source.ip":
      return pair(listOf("sourceIps", parseCidr), listOf("notSourceIps", parseCidr));
    case "source.namespace":
      return pair(strings("namespaces"), strings("notNamespaces"));
    case "source.principal":
      return pair(strings("principals"), strings("notPrincipals"));
    case "destination.ip":
      return pair(listOf("destinationIps", parseCidr), listOf("notDestinationIps", parseCidr));
    case "destination.port":
      return pair(listOf("destinationPorts", parsePort), listOf("notDestinationPorts", parsePort));
    default:
      break;
  }
  if (at.by === "ztunnel") return undefined;
  if (key === "source.serviceAccount") return pair(accounts("serviceAccounts", at.namespace), accounts("notServiceAccounts", at.namespace));
  if (key === "source.trustDomain") return pair(prefixOf("principals"), prefixOf("notPrincipals"));
  const header = /^request\.headers\[([^\][]+)\]$/.exec(key)?.[1]?.toLowerCase();
  if (header === undefined) return undefined;
  const one =
    (field: "values" | "notValues"): FieldOf =>
    (values) =>
      ok({ headers: [{ name: header, values: [], notValues: [], [field]: values.map(parseStringMatch) }] });
  return pair(one("values"), one("notValues"));
};

/** A `when` entry. Values and notValues of one key hold together. */
export const compileCondition = (
  c: { readonly key?: unknown; readonly values?: unknown; readonly notValues?: unknown },
  at: Where,
): Compiled => {
  const key = typeof c.key === "string" ? c.key : "";
  const none = { match: EMPTY_MATCH, http: [], bad: [] };
  const fields = conditionFields(key, at);
  if (fields === undefined) {
    if (at.by === "ztunnel") return { ...none, http: [key] };
    return { ...none, bad: [`${at.path}.key ${JSON.stringify(key)} is not supported by a waypoint: remove the condition`] };
  }
  const values = c.values ?? [];
  const notValues = c.notValues ?? [];
  if (!isStrings(values) || !isStrings(notValues) || values.length + notValues.length === 0)
    return { ...none, bad: [`${at.path} has neither values nor notValues`] };
  const yes = values.length === 0 ? ok({}) : fields[0](values);
  const not = notValues.length === 0 ? ok({}) : fields[1](notValues);
  if (!yes.ok) return { ...none, bad: [`${at.path}.values: ${yes.error}`] };
  if (!not.ok) return { ...none, bad: [`${at.path}.notValues: ${not.error}`] };
  const headers = mergeHeaders(yes.value, not.value);
  return { ...none, match: { ...merge(merge(EMPTY_MATCH, yes.value), not.value), headers } };
};

/** Both halves name the same header: one matcher with both. */
const mergeHeaders = (yes: Partial<Match>, not: Partial<Match>): Match["headers"] => {
  const [a] = yes.headers ?? [];
  const [b] = not.headers ?? [];
  if (a !== undefined && b !== undefined) return [{ ...a, notValues: b.notValues }];
  return [...(yes.headers ?? []), ...(not.headers ?? [])];
};
