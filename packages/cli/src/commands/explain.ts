// ambit explain: what happens to a connection or request, decided by the components that would handle it

import { formatSocketAddr } from "@ambit/shared/addr/socket.ts";
import type { ExplainInbound, ExplainOutbound, ExplainPod, ExplainWaypoint, ExplainWorkload } from "@ambit/shared/admin/explain.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { Command } from "commander";
import { UserError } from "../client/mesh.ts";
import { resolveTarget } from "../client/resolve.ts";
import type { Cluster, Context } from "../context.ts";
import { explanation, type Finding } from "../print/explanation.ts";
import { formatted, parseFormat } from "../print/format.ts";

type Options = { method: string; path: string; host?: string; header: string[]; output: string };

const ref = (pod: Pod): { namespace: string; name: string } => ({ namespace: pod.metadata.namespace ?? "", name: pod.metadata.name });
const query = (fields: Record<string, string>, headers: readonly string[] = []): string =>
  new URLSearchParams([...Object.entries(fields), ...headers.map((h): [string, string] => ["header", h])]).toString();

const checkHeaders = (headers: readonly string[]): readonly string[] => {
  for (const h of headers)
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+:/.test(h)) throw new UserError(`--header ${JSON.stringify(h)}: want name:value`);
  return headers;
};

/** The node agent's answer; undefined where none runs. */
const capture = async (c: Cluster, pod: Pod): Promise<ExplainPod> => {
  const agent = await c.pods.cniOf(pod.spec?.nodeName ?? "");
  return (await c.admin.json(ref(agent), `/explain/pod?${query(ref(pod))}`)) as ExplainPod;
};

const isCaptured = (p: ExplainPod): boolean =>
  (p.wanted.kind === "enrol" || p.wanted.kind === "wait") && p.done.announced && p.done.rules === "yes";

/** The last leg: what the pod that is reached says to who comes. */
const arrival = async (c: Cluster, at: ExplainWorkload, ask: { to: string; source: string; sourceIp: string }): Promise<Finding[]> => {
  const pod = await c.client.get<Pod>(RESOURCES.pods, { namespace: at.namespace, name: at.name });
  if (pod === undefined)
    return [
      { kind: "note", text: `${at.namespace}/${at.name} is not a pod of this cluster: what it does with the connection is not known here` },
    ];
  const captured = await capture(c, pod);
  if (!isCaptured(captured)) return [{ kind: "arrival-uncaptured", pod: `${at.namespace}/${at.name}`, text: captured.text }];
  const ztunnel = await c.pods.ztunnelOf(captured.node);
  const answer = (await c.admin.json(
    ref(ztunnel),
    `/explain/inbound?${query({ namespace: at.namespace, pod: at.name, ...ask })}`,
  )) as ExplainInbound;
  return [{ kind: "arrival", answer, node: captured.node }];
};

const atWaypoint = async (c: Cluster, out: ExplainOutbound, asked: Options & { readonly host: string }): Promise<Finding[]> => {
  const instance = out.workload;
  if (instance === undefined) return [];
  const ask = query(
    {
      authority: out.authority ?? out.to,
      source: out.source.identity,
      sourceIp: out.source.addresses[0] ?? "",
      method: asked.method,
      path: asked.path,
      host: asked.host,
    },
    checkHeaders(asked.header),
  );
  const answer = (await c.admin.json({ namespace: instance.namespace, name: instance.name }, `/explain?${ask}`)) as ExplainWaypoint;
  const finding: Finding = { kind: "waypoint", answer, instance };
  if (answer.endpoint === undefined || answer.status !== undefined) return [finding];
  const address = answer.via === undefined ? answer.endpoint.addresses[0] : answer.via.replace(/:15008$/, "");
  const port = answer.endpointPort ?? 0;
  const to = address?.includes(":") === true && !address.startsWith("[") ? `[${address}]:${port}` : `${address}:${port}`;
  const source = answer.expect.length > 0 ? instance.identity : "none";
  return [finding, ...(await arrival(c, answer.endpoint, { to, source, sourceIp: instance.addresses[0] ?? "" }))];
};

/** Plaintext to an address: whoever has it decides. */
const plaintext = async (c: Cluster, at: { ip: string; port: number }, sourceIp: string): Promise<Finding[]> => {
  const { items } = await c.client.list<Pod>(RESOURCES.pods);
  const pod = items.find((p) => p.status?.podIPs?.some((i) => i.ip === at.ip) === true && p.spec?.hostNetwork !== true);
  if (pod === undefined) return [];
  const workload: ExplainWorkload = { uid: "", ...ref(pod), node: pod.spec?.nodeName ?? "", addresses: [at.ip], identity: "" };
  const to = at.ip.includes(":") ? `[${at.ip}]:${at.port}` : `${at.ip}:${at.port}`;
  return arrival(c, workload, { to, source: "none", sourceIp });
};

const explain = async (ctx: Context, { from, to }: { from: string; to: string }, o: Options): Promise<readonly Finding[]> => {
  const c = ctx.cluster();
  const pod = await c.pods.pod(from, c.namespace);
  const target = await resolveTarget(c.client, to, pod.metadata.namespace ?? "");
  const captured = await capture(c, pod);
  const start: Finding = { kind: "start", pod: ref(pod), target: to, address: formatSocketAddr(target.to), service: target.service };
  const source: Finding = { kind: "capture", answer: captured };
  if (!isCaptured(captured)) {
    const arrived = await plaintext(c, target.to, pod.status?.podIP ?? "");
    return [
      start,
      source,
      { kind: "note", text: "The connection leaves the pod as it is: no tunnel, no identity, no waypoint." },
      ...arrived,
    ];
  }
  const ztunnel = await c.pods.ztunnelOf(captured.node);
  const out = (await c.admin.json(
    ref(ztunnel),
    `/explain/outbound?${query({ ...(ref(pod).namespace !== "" ? { namespace: ref(pod).namespace, pod: ref(pod).name } : {}), to: formatSocketAddr(target.to) })}`,
  )) as ExplainOutbound;
  const head: Finding[] = [start, source, { kind: "outbound", answer: out }];
  if (out.kind === "hbone" && (out.why === "service-waypoint" || out.why === "workload-waypoint"))
    return [...head, ...(await atWaypoint(c, out, { ...o, host: o.host ?? target.host }))];
  if (out.kind === "hbone" && out.workload !== undefined)
    return [
      ...head,
      ...(await arrival(c, out.workload, {
        to: out.authority ?? out.to,
        source: out.source.identity,
        sourceIp: out.source.addresses[0] ?? "",
      })),
    ];
  if (out.kind === "tcp" && out.workload !== undefined)
    return [
      ...head,
      ...(await arrival(c, out.workload, { to: out.via ?? out.to, source: "none", sourceIp: out.source.addresses[0] ?? "" })),
    ];
  return head;
};

/** Adds `explain <from-pod> <host:port>`. */
export const addExplain = (program: Command, ctx: Context): void => {
  program
    .command("explain <from-pod> <host:port>")
    .description("what happens to a connection or request, and why: capture, route, endpoint, identity, every policy's verdict")
    .option("--method <method>", "HTTP method, where a waypoint handles the request", "GET")
    .option("--path <path>", "HTTP path", "/")
    .option("--host <host>", "HTTP Host, if another than the target")
    .option("--header <name:value>", "an HTTP header; may be given several times", (h: string, all: string[]) => [...all, h], [])
    .option("-o, --output <format>", "short, json or yaml", "short")
    .action(async (from: string, to: string, o: Options) => {
      const findings = await explain(ctx, { from, to }, o);
      ctx.print(formatted(parseFormat(o.output), findings, explanation));
    });
};
