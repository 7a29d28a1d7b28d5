// What does the server add to a Service, and what of it may change? (pkg/registry/core/service)

import { parseIp } from "@ambit/shared/addr/ip.ts";
import { badValue, type Cause, duplicate, invalid, notSupported, required } from "../model/errors.ts";
import { child, type JsonObject, type KubeObject, num, obj, objects, setDefault, str, stringMap, strings } from "../model/object.ts";
import type { Strategy, WriteEnv } from "../registry/types.ts";
import { labelBreach } from "../write/names.ts";
import { addressRefusal, type Family, familyOf, freeAddress } from "./service-ip.ts";

const KIND = { group: "", kind: "Service" } as const;
const POLICIES = ["SingleStack", "PreferDualStack", "RequireDualStack"];
const TYPES = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];
const other = (f: Family): Family => (f === "IPv4" ? "IPv6" : "IPv4");

const fail = (o: KubeObject, ...causes: Cause[]): never => {
  throw invalid(KIND, o.metadata.name ?? "", causes);
};

const isFamily = (s: string): s is Family => s === "IPv4" || s === "IPv6";

const usedAddresses = (env: WriteEnv, except: KubeObject): Set<string> =>
  new Set(env.view.list("/services").flatMap((s) => (s.metadata.uid === except.metadata.uid ? [] : strings(obj(s.spec).clusterIPs))));

/** clusterIP and clusterIPs say the same: the first of the list. */
const askedAddresses = (o: KubeObject, spec: JsonObject): string[] => {
  const one = str(spec.clusterIP) ?? "";
  const many = strings(spec.clusterIPs);
  if (one !== "" && many.length > 0 && many[0] !== one) fail(o, badValue("spec.clusterIPs", many, "first value must match `clusterIP`"));
  return many.length > 0 ? many : one === "" ? [] : [one];
};

/** The families in order, from the policy, the families asked for and the addresses named. */
const familiesOf = (o: KubeObject, spec: JsonObject, asked: readonly string[]): Family[] => {
  const named = strings(spec.ipFamilies).map((f) => (isFamily(f) ? f : fail(o, notSupported("spec.ipFamilies[0]", f, ["IPv4", "IPv6"]))));
  if (new Set(named).size !== named.length) fail(o, duplicate("spec.ipFamilies[1]", named[1]));
  const first = parseIp(asked[0] ?? "");
  const headless = asked[0] === "None";
  const primary = named[0] ?? (first.ok ? familyOf(first.value) : "IPv4");
  if (first.ok && familyOf(first.value) !== primary)
    fail(o, badValue("spec.clusterIPs[0]", asked[0], `expected an ${primary} value as indicated by \`ipFamilies[0]\``));
  // A headless Service without selector has endpoints of any family (KEP-563).
  const selectorless = headless && Object.keys(stringMap(spec.selector)).length === 0 && named.length === 0;
  setDefault(spec, "ipFamilyPolicy", named.length > 1 || asked.length > 1 || selectorless ? "RequireDualStack" : "SingleStack");
  const policy = str(spec.ipFamilyPolicy) ?? "";
  if (!POLICIES.includes(policy)) fail(o, notSupported("spec.ipFamilyPolicy", policy, POLICIES));
  if (policy !== "SingleStack") return [primary, other(primary)];
  if (named.length > 1 || asked.length > 1)
    fail(o, badValue("spec.ipFamilyPolicy", policy, "must be RequireDualStack or PreferDualStack when multiple ipFamilies are specified"));
  return [primary];
};

/** Gives the Service its addresses: those it names, those it had, and free ones for the rest. */
const allocate = (o: KubeObject, env: WriteEnv): void => {
  const spec = child(o, "spec");
  if (spec.type === "ExternalName") {
    for (const f of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]) delete spec[f];
    return;
  }
  const asked = askedAddresses(o, spec);
  const families = familiesOf(o, spec, asked);
  spec.ipFamilies = families;
  if (asked[0] === "None") {
    Object.assign(spec, { clusterIP: "None", clusterIPs: ["None"] });
    return;
  }
  const used = usedAddresses(env, o);
  const addresses = families.map((family, i) => {
    const named = asked[i];
    const why = named === undefined ? undefined : addressRefusal(named, used);
    if (why !== undefined) return fail(o, badValue(`spec.clusterIPs[${i}]`, named, why));
    const ip = named === undefined ? freeAddress(family, used, env.random) : parseIp(named);
    if (ip === undefined) return fail(o, badValue("spec.clusterIPs", [], `failed to allocate a serviceIP: range is full`));
    return typeof ip === "string" ? ip : ip.ok ? ip.value : fail(o, badValue(`spec.clusterIPs[${i}]`, named, ip.error));
  });
  Object.assign(spec, { clusterIP: addresses[0], clusterIPs: addresses });
};

const hasAddresses = (spec: JsonObject): boolean => spec.type !== "ExternalName";

/** A client that sends no addresses means the ones there are (patchAllocatedValues). */
const keepAllocated = (o: KubeObject, old: KubeObject): void => {
  const [spec, before] = [child(o, "spec"), obj(old.spec)];
  if (!hasAddresses(spec) || !hasAddresses(before)) return;
  if ((str(spec.clusterIP) ?? "") === "" && strings(spec.clusterIPs).length === 0)
    Object.assign(spec, { clusterIP: before.clusterIP, clusterIPs: before.clusterIPs });
  else if ((str(spec.clusterIP) ?? "") === "") spec.clusterIP = strings(spec.clusterIPs)[0];
  else if (spec.clusterIP === before.clusterIP && strings(spec.clusterIPs).length === 0) spec.clusterIPs = before.clusterIPs;
  setDefault(spec, "ipFamilyPolicy", before.ipFamilyPolicy);
  if (spec.ipFamilies === undefined) spec.ipFamilies = before.ipFamilies;
  // From two families to one: the second goes with its address.
  if (spec.ipFamilyPolicy === "SingleStack" && before.ipFamilyPolicy !== "SingleStack") {
    spec.ipFamilies = strings(spec.ipFamilies).slice(0, 1);
    spec.clusterIPs = strings(spec.clusterIPs).slice(0, 1);
  }
};

const portCauses = (spec: JsonObject): Cause[] => {
  const ports = objects(spec.ports);
  const headless = spec.clusterIP === "None" || spec.type === "ExternalName";
  if (ports.length === 0) return headless ? [] : [required("spec.ports")];
  const names = new Set<string>();
  const numbers = new Set<string>();
  return ports.flatMap((p, i) => {
    const at = `spec.ports[${i}]`;
    const [name, port] = [str(p.name) ?? "", num(p.port) ?? 0];
    const key = `${str(p.protocol) ?? "TCP"} ${port}`;
    const causes: Cause[] = [];
    if (name === "" && ports.length > 1) causes.push(required(`${at}.name`));
    const why = name === "" ? undefined : labelBreach(name);
    if (why !== undefined) causes.push(badValue(`${at}.name`, name, why));
    if (name !== "" && names.has(name)) causes.push(duplicate(`${at}.name`, name));
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      causes.push(badValue(`${at}.port`, port, "must be between 1 and 65535, inclusive"));
    if (numbers.has(key)) causes.push(duplicate(at, p));
    names.add(name);
    numbers.add(key);
    return causes;
  });
};

const addressesFixed = (o: KubeObject, old: KubeObject): Cause[] => {
  const [spec, before] = [obj(o.spec), obj(old.spec)];
  if (!hasAddresses(spec) || !hasAddresses(before)) return [];
  const [now, then] = [strings(spec.clusterIPs), strings(before.clusterIPs)];
  return then.flatMap((ip, i) =>
    now[i] === undefined || now[i] === ip ? [] : [badValue(`spec.clusterIPs[${i}]`, now, "may not change once set")],
  );
};

export const serviceStrategy: Strategy = {
  defaults: (o) => {
    const spec = child(o, "spec");
    setDefault(spec, "type", "ClusterIP");
    if (spec.type !== "ExternalName") setDefault(spec, "sessionAffinity", "None");
  },
  onCreate: (o, env) => {
    o.status = { loadBalancer: {} };
    allocate(o, env);
  },
  onUpdate: (o, old, env) => {
    keepAllocated(o, old);
    // Refused before a named address is looked at: it cannot change anyway.
    const causes = addressesFixed(o, old);
    if (causes.length > 0) fail(o, ...causes);
    allocate(o, env);
  },
  validate: (o) => {
    const spec = obj(o.spec);
    const type = str(spec.type) ?? "";
    return [
      ...(TYPES.includes(type) ? [] : [notSupported("spec.type", type, TYPES)]),
      ...(type === "ExternalName" && (str(spec.externalName) ?? "") === "" ? [required("spec.externalName")] : []),
      ...portCauses(spec),
    ];
  },
  fieldNames: ["spec.clusterIP", "spec.type"],
  fields: (o) => ({ "spec.clusterIP": str(obj(o.spec).clusterIP) ?? "", "spec.type": str(obj(o.spec).type) ?? "" }),
};
