// What would happen to a request, and why? (the same pure functions that decide about real ones)

import type { Ip } from "@ambit/shared/addr/ip.ts";
import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { ExplainRule, ExplainWaypoint } from "@ambit/shared/admin/explain.ts";
import { RESCUE } from "@ambit/shared/errors/codes.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { explainCandidate, explainVerdict, explainWorkload } from "@ambit/shared/proxy/explain.ts";
import type { Filter, RouteRule, WeightedBackend } from "@ambit/shared/route/types.ts";
import type { Origin } from "@ambit/shared/state/balance.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import type { HeaderFields } from "../http/message.ts";
import { type AddressedNow, addressedBy, type OwnedServices, planInbound, type Self } from "../inbound/target.ts";
import { normalisePath, splitPath } from "../route/path.ts";
import { planRequest, type RequestPlan, type ServiceTarget } from "../route/plan.ts";
import { httpSubject, policySet, tcpPolicySet, tcpSubject } from "../route/rbac.ts";
import type { FullMatch } from "../route/regex.ts";
import { planTcp } from "../tcp/plan.ts";
import { type Choice, chooseEndpoint, reach } from "../upstream/choose.ts";

export type Question = {
  readonly authority: SocketAddr;
  readonly source: SpiffeId;
  readonly sourceIp: SocketAddr["ip"];
  readonly method: string;
  readonly path: string;
  readonly host: string | undefined;
  readonly headers: HeaderFields;
};

export type ExplainDeps = {
  readonly self: Self;
  readonly owned: OwnedServices;
  readonly view: MeshView;
  readonly origin: () => Origin;
  regex(pattern: string): FullMatch;
  random(): number;
  readonly hbonePort: number;
};

const backendText = (b: WeightedBackend): string =>
  b.target.kind === "invalid" ? `invalid: ${b.target.reason}` : `${b.target.namespace}/${b.target.hostname}:${b.target.port}`;

const backendsOf = (backends: readonly WeightedBackend[]): ExplainWaypoint["backends"] => {
  const sum = backends.reduce((n, b) => n + b.weight, 0);
  return backends.map((b) => ({
    target: backendText(b),
    weight: b.weight,
    share: sum === 0 ? "0%" : `${Number(((100 * b.weight) / sum).toFixed(1))}%`,
  }));
};

const filterText = (f: Filter): string => {
  switch (f.kind) {
    case "request-headers":
    case "response-headers": {
      const parts = [
        ...f.edits.set.map((e) => `set ${e.name}: ${e.value}`),
        ...f.edits.add.map((e) => `add ${e.name}: ${e.value}`),
        ...f.edits.remove.map((name) => `remove ${name}`),
      ];
      return `${f.kind} (${parts.join(", ")})`;
    }
    case "redirect":
      return `redirect ${f.status}`;
    case "rewrite":
      return `rewrite${f.hostname === undefined ? "" : ` host ${f.hostname}`}${f.path === undefined ? "" : ` path to ${f.path.value}`}`;
    case "mirror":
      return `mirror ${f.percent}%`;
    case "unsupported":
      return `unsupported: ${f.reason}`;
  }
};

const ruleName = (r: RouteRule): string => `${r.route} ${r.rule}`;

const nothing = (q: Question, text: string, status?: number): ExplainWaypoint => ({
  authority: formatSocketAddr(q.authority),
  rules: [],
  chosen: "none",
  filters: [],
  backends: [],
  candidates: [],
  expect: [],
  ...(status === undefined ? {} : { status }),
  text,
});

/** Where the chosen endpoint is and how it is reached, or why there is none. */
const reached = (choice: Choice, d: ExplainDeps): Partial<ExplainWaypoint> & { readonly text: string } => {
  const list = choice.candidates.map(explainCandidate);
  if (choice.kind === "none") {
    const status = RESCUE[choice.error.code].http;
    return { candidates: list, status, text: `answered ${status}: ${choice.error.message}` };
  }
  const { workload, address, via, expect } = choice.chosen;
  const tunnel = formatSocketAddr({ ip: address.ip, port: d.hbonePort });
  return {
    candidates: list,
    endpoint: explainWorkload(workload),
    endpointPort: address.port,
    via: via === "hbone" ? tunnel : formatSocketAddr(address),
    expect: via === "hbone" ? [expect.uri] : [],
    text:
      via === "hbone"
        ? `goes to ${workload.namespace}/${workload.name} (${formatSocketAddr(address)}) through ${tunnel}, where ${expect.uri} must answer`
        : `goes to ${workload.namespace}/${workload.name} (${formatSocketAddr(address)}) in clear: it has no tunnel`,
  };
};

/** What is addressed, and by which address. */
type Asked = AddressedNow & { readonly toward: Ip };

const endpointFor = (backend: ServiceTarget, a: Asked, d: ExplainDeps): Choice => {
  const { workload, port, service, toward } = a;
  const direct = workload === undefined ? undefined : reach(workload, port.port, { appProtocol: "UNKNOWN", service, toward });
  if (direct !== undefined) return { kind: "chosen", chosen: direct, candidates: [] };
  return chooseEndpoint({ view: d.view, backend, from: d.origin(), toward, tried: new Set(), random: d.random, active: () => 0 });
};

const planned = (plan: RequestPlan, a: Asked, d: ExplainDeps): Partial<ExplainWaypoint> & { readonly text: string } => {
  const rule = plan.rule;
  const shown = {
    chosen: rule === undefined ? (plan.kind === "fail" ? "none" : "no route is attached: plain forwarding") : ruleName(rule),
    filters: rule === undefined ? [] : rule.filters.map(filterText),
    backends: rule === undefined ? [] : backendsOf(rule.backends),
  };
  switch (plan.kind) {
    case "fail": {
      const status = RESCUE[plan.code].http;
      return { ...shown, status, text: `answered ${status}: ${plan.detail}` };
    }
    case "redirect":
      return { ...shown, status: plan.status, text: `answered ${plan.status} with Location ${plan.location}` };
    case "forward": {
      const r = reached(endpointFor(plan.backend, a, d), d);
      return { ...shown, ...r };
    }
  }
};

const explainHttp = (q: Question, a: AddressedNow, d: ExplainDeps): Partial<ExplainWaypoint> & { readonly text: string } => {
  const { path, query } = splitPath(q.path);
  const authority = q.host ?? a.service.hostname;
  const request = { method: q.method, authority, headers: q.headers, path: q.path };
  const caller = { peer: q.source, source: { ip: q.sourceIp, port: 0 }, destination: q.authority };
  const verdict = explainVerdict(policySet(a.service), httpSubject(caller, request));
  const header = (name: string): string | undefined =>
    name === "host" || name === ":authority" ? authority : q.headers.find(([n]) => n === name)?.[1];
  const { plan, trail } = planRequest({
    service: a.service,
    port: a.port,
    request: { method: q.method, scheme: "http", authority, path: { path: normalisePath(path), query }, headers: q.headers, header },
    context: { callerNamespace: q.source.namespace, regex: d.regex },
    random: d.random(),
  });
  const rules: ExplainRule[] = trail.map((t) => ({ route: t.route, rule: t.rule, matched: false, why: `does not match: ${t.missed}` }));
  if (plan.rule !== undefined)
    rules.push({ route: plan.rule.route, rule: plan.rule.rule, matched: true, why: "the first rule that matches" });
  const then = planned(plan, { ...a, toward: q.authority.ip }, d);
  if (verdict.allowed) return { verdict, rules, ...then };
  return { verdict, rules, ...then, status: 403, text: `answered 403: ${verdict.text}` };
};

const explainTcp = (q: Question, a: AddressedNow, d: ExplainDeps): Partial<ExplainWaypoint> & { readonly text: string } => {
  const caller = { peer: q.source, source: { ip: q.sourceIp, port: 0 }, destination: q.authority };
  const verdict = explainVerdict(tcpPolicySet(a.service), tcpSubject(caller));
  const plan = planTcp(a.service, a.port, d.random());
  const shown = { verdict, chosen: "opaque TCP", backends: backendsOf(a.port.tcpBackends) };
  if (!verdict.allowed) return { ...shown, text: `closed: ${verdict.text}` };
  if (plan.kind === "fail") return { ...shown, text: `closed: ${plan.detail}` };
  return { ...shown, ...reached(endpointFor(plan.backend, { ...a, toward: q.authority.ip }, d), d) };
};

/** For an AUTO port the answer is the one for HTTP. */
export const explain = (q: Question, d: ExplainDeps): ExplainWaypoint => {
  const target = planInbound(q.authority, d);
  if (target.kind === "refuse") {
    const status = RESCUE[target.code].hbone;
    return nothing(q, `the CONNECT is refused with ${status}: ${target.detail}`, status);
  }
  const a = addressedBy(target, d);
  if (a === undefined) return nothing(q, "the service is not served here any more", 404);
  const opaque = a.port.protocol === "TCP" || a.port.protocol === "TLS";
  const answer = opaque ? explainTcp(q, a, d) : explainHttp(q, a, d);
  return { ...nothing(q, answer.text), service: serviceKey(a.service), protocol: a.port.protocol, ...answer };
};
