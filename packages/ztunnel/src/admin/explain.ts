// What would be decided for a connection now, and why? (the same pure functions that serve it)

import { parseIp } from "@ambit/shared/addr/ip.ts";
import { formatSocketAddr, parseSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { ExplainInbound, ExplainOutbound, ExplainVerdict } from "@ambit/shared/admin/explain.ts";
import { AdminError, type AdminRequest, readParam, requiredParam } from "@ambit/shared/admin/server.ts";
import { policiesFor } from "@ambit/shared/authz/authorize.ts";
import { parseSpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { explainCandidate, explainVerdict, explainWorkload } from "@ambit/shared/proxy/explain.ts";
import type { Standing } from "@ambit/shared/state/balance.ts";
import { serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { LocalWorkload, MeshView } from "@ambit/shared/state/view.ts";
import { type PassthroughPlan, planPassthrough } from "../inbound/passthrough/plan.ts";
import { type InboundPlan, planInbound } from "../inbound/plan.ts";
import { planOutbound } from "../outbound/plan.ts";
import type { EgressMode, OutboundPlan } from "../outbound/types.ts";
import { HBONE_PORT } from "../ports.ts";

export type ExplainSources = {
  readonly view: MeshView;
  readonly pods: () => readonly { readonly who: LocalWorkload }[];
  readonly random: () => number;
  /** What the thread that is asked has seen of endpoints. */
  readonly endpoints?: Standing;
  /** As the data path has it. */
  readonly egress?: EgressMode;
  /** Whether the pod reaches the workload within this process; absent: no pod does. */
  readonly areNeighbours?: (from: LocalWorkload, to: Workload) => boolean;
};

/** The workload of a pod that this ztunnel serves. */
const servedPod = (s: ExplainSources, r: AdminRequest): Workload => {
  const namespace = requiredParam(r, "namespace");
  const name = requiredParam(r, "pod");
  const served = s.pods().find((p) => p.who.name === name && p.who.namespace === namespace);
  if (served === undefined)
    throw new AdminError(404, `pod ${namespace}/${name} is not served by this ztunnel: it is not captured, or runs on another node`);
  const workload = s.view.workloadByName(served.who);
  if (workload === undefined)
    throw new AdminError(503, `pod ${namespace}/${name} is served, but its workload has not arrived from the controller`);
  return workload;
};

const doubleText = (plan: OutboundPlan & { kind: "double-hbone" }): string => {
  const way = `a tunnel in a tunnel through the gateway ${formatSocketAddr(plan.gateway)}, asking for ${plan.authority}`;
  if (plan.inner.length === 0)
    return `${way}; refused: the service has no subject alternative names, so nobody beyond the gateway would do`;
  return `${way}; beyond it must answer ${plan.inner.map((id) => id.uri).join(" or ")}`;
};

/** What is said beside the plan when both pods are served here. */
const NEXT_DOOR =
  "both pods are served by this ztunnel, so the connection is handed over within it and needs no tunnel, as long as the network lets one through";

const outboundText = (plan: OutboundPlan, to: string): string => {
  switch (plan.kind) {
    case "passthrough":
      return plan.why === "unknown-destination"
        ? `nothing in the mesh has the address ${to}: the connection goes there as it is`
        : `the service asks for passthrough: the connection goes to ${to} as it is`;
    case "tcp":
      return `${plan.workload?.uid} takes no tunnel: plain TCP to ${formatSocketAddr(plan.to)}`;
    case "hbone": {
      const whom =
        plan.why === "direct"
          ? "straight to"
          : plan.why === "service-waypoint"
            ? "by the service's waypoint"
            : "by the workload's waypoint";
      return `HBONE ${whom} ${plan.workload?.uid} at ${formatSocketAddr(plan.via)}, asking for ${plan.authority}`;
    }
    case "double-hbone":
      return doubleText(plan);
    case "resolve":
      return `${plan.workload?.uid} has no address: its hostname ${JSON.stringify(plan.hostname)} is resolved for each connection`;
    case "reject":
      return `refused: ${plan.detail}`;
  }
};

const viaOf = (plan: OutboundPlan): SocketAddr | undefined => {
  switch (plan.kind) {
    case "passthrough":
    case "tcp":
      return plan.to;
    case "hbone":
      return plan.via;
    case "double-hbone":
      return plan.gateway;
    case "resolve":
    case "reject":
      return undefined;
  }
};

/** `?namespace=&pod=&to=ip:port` */
export const explainOutbound = (s: ExplainSources, r: AdminRequest): ExplainOutbound => {
  const source = servedPod(s, r);
  const to = readParam("to", parseSocketAddr(requiredParam(r, "to")));
  const standing = s.endpoints === undefined ? {} : { standing: s.endpoints };
  const plan = planOutbound(s.view, { source, to, egress: s.egress, ...standing }, s.random);
  const via = viaOf(plan);
  const expect = plan.kind === "hbone" ? plan.expect : plan.kind === "double-hbone" ? plan.outer : [];
  const direct = plan.kind === "hbone" && plan.why === "direct" && plan.workload?.nativeTunnel === false ? plan.workload : undefined;
  const nextDoor = direct !== undefined && s.areNeighbours?.(source, direct) === true;
  return {
    source: explainWorkload(source),
    to: formatSocketAddr(to),
    found: plan.found,
    service: plan.service && serviceKey(plan.service),
    kind: plan.kind,
    why: plan.kind === "reject" ? plan.code : plan.why,
    text: `${outboundText(plan, formatSocketAddr(to))}${nextDoor ? `; ${NEXT_DOOR}` : ""}`,
    via: via && formatSocketAddr(via),
    authority: "authority" in plan ? plan.authority : undefined,
    expect: expect.map((id) => id.uri),
    workload: plan.workload && explainWorkload(plan.workload),
    candidates: plan.candidates.map(explainCandidate),
    code: plan.kind === "reject" ? plan.code : undefined,
  };
};

const verdictOf = (s: ExplainSources, workload: Workload, { subject }: InboundPlan | PassthroughPlan): ExplainVerdict | undefined =>
  subject && explainVerdict(policiesFor(s.view, workload), subject);

const planFor = (s: ExplainSources, r: AdminRequest, workload: Workload): InboundPlan | PassthroughPlan => {
  const to = requiredParam(r, "to");
  const from = requiredParam(r, "source");
  const remote = { ip: readParam("sourceIp", parseIp(requiredParam(r, "sourceIp"))), port: 0 };
  const asked = parseSocketAddr(to);
  if (from === "none") return planPassthrough(s.view, { workload, remote, to: readParam("to", asked) }, s.random);
  const own = asked.ok && workload.addresses.includes(asked.value.ip) ? asked.value.ip : (workload.addresses[0] ?? remote.ip);
  const peer = readParam("source", parseSpiffeId(from));
  return planInbound(s.view, {
    workload,
    method: "CONNECT",
    authority: to,
    peer,
    remote,
    local: { ip: own, port: HBONE_PORT },
    forwarded: "",
  });
};

const inboundText = (plan: InboundPlan | PassthroughPlan): string => {
  switch (plan.kind) {
    case "forward":
      return `forwarded to the application at ${formatSocketAddr(plan.to)}${plan.as === undefined ? "" : `, which sees ${plan.as} as its client`}`;
    case "hairpin":
      return `sent through the service's waypoint ${plan.tunnel.workload?.uid} at ${formatSocketAddr(plan.to)}, asking for ${plan.tunnel.authority}, as a client that nobody knows`;
    case "reject":
      return `refused: ${plan.detail}`;
  }
};

/** `?namespace=&pod=&to=ip:port&source=spiffe://…|none&sourceIp=`; source=none is plaintext, through 15006. */
export const explainInbound = (s: ExplainSources, r: AdminRequest): ExplainInbound => {
  const workload = servedPod(s, r);
  const plan = planFor(s, r, workload);
  return {
    workload: explainWorkload(workload),
    kind: plan.kind,
    text: inboundText(plan),
    to: "to" in plan && plan.to !== undefined ? formatSocketAddr(plan.to) : undefined,
    code: plan.kind === "reject" ? plan.code : undefined,
    verdict: verdictOf(s, workload, plan),
  };
};
