// ambit ztunnel-config: what does a ztunnel know and do right now?

import { readFileSync } from "node:fs";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import type { ConfigDump } from "@ambit/shared/state/config-dump.ts";
import type { Command } from "commander";
import { splitRef, UserError } from "../client/mesh.ts";
import type { Context } from "../context.ts";
import { formatted, parseFormat } from "../print/format.ts";
import {
  certificateTable,
  chosenServices,
  chosenWorkloads,
  connectionTable,
  policyTable,
  serviceTable,
  workloadTable,
} from "../print/ztunnel.ts";

type Options = {
  node?: string;
  file?: string;
  output: string;
  workloadNamespace?: string;
  workloadNode?: string;
  address?: string;
  serviceNamespace?: string;
  policyNamespace?: string;
  direction?: string;
  raw?: boolean;
  proxyAdminPort: string;
};

const ref = (pod: Pod): { namespace: string; name: string } => ({ namespace: pod.metadata.namespace ?? "", name: pod.metadata.name });

/** The ztunnel meant: named, of the node, of the node of a named workload pod; without any, every ztunnel of the mesh. */
const chosenZtunnels = async (ctx: Context, name: string | undefined, node: string | undefined): Promise<readonly Pod[]> => {
  const { pods, namespace } = ctx.cluster();
  if (node !== undefined) return [await pods.ztunnelOf(node)];
  if (name === undefined) {
    const all = await pods.ztunnels();
    if (all.length === 0) throw new UserError("no ztunnel runs in this cluster: is the mesh installed?");
    return all;
  }
  const all = await pods.ztunnels();
  const wanted = splitRef(name, namespace);
  const direct = all.find((p) => p.metadata.name === wanted.name);
  if (direct !== undefined) return [direct];
  const workload = await pods.pod(name, namespace);
  return [await pods.ztunnelOf(workload.spec?.nodeName ?? "")];
};

const readDump = (path: string): ConfigDump => {
  try {
    return JSON.parse(readFileSync(path === "-" ? 0 : path, "utf8")) as ConfigDump;
  } catch (e) {
    throw new UserError(`${path} cannot be read as a ztunnel config dump: ${e instanceof Error ? e.message : String(e)}`);
  }
};

const dumps = async (ctx: Context, name: string | undefined, o: Options): Promise<readonly ConfigDump[]> => {
  if (o.file !== undefined) return [readDump(o.file)];
  const port = Number(o.proxyAdminPort);
  const ztunnels = await chosenZtunnels(ctx, name, o.node);
  return Promise.all(
    ztunnels.map(async (p) => JSON.parse(await ctx.cluster().admin.text(ref(p), { path: "/config_dump", port })) as ConfigDump),
  );
};

/** Every ztunnel has all workloads, services and policies: one is asked. Certificates and connections are each one's own. */
const shared = async (ctx: Context, name: string | undefined, o: Options): Promise<ConfigDump> => {
  const [first] =
    o.file !== undefined || name !== undefined || o.node !== undefined
      ? await dumps(ctx, name, o)
      : await dumps(ctx, undefined, { ...o, node: await anyNode(ctx) });
  if (first === undefined) throw new UserError("no ztunnel runs in this cluster: is the mesh installed?");
  return first;
};

const anyNode = async (ctx: Context): Promise<string> => {
  const [first] = await ctx.cluster().pods.ztunnels();
  if (first === undefined) throw new UserError("no ztunnel runs in this cluster: is the mesh installed?");
  return first.spec?.nodeName ?? "";
};

const merged = async (ctx: Context, name: string | undefined, o: Options): Promise<ConfigDump> => {
  const [first, ...rest] = await dumps(ctx, name, o);
  if (first === undefined) throw new UserError("no ztunnel runs in this cluster: is the mesh installed?");
  return {
    ...first,
    certificates: [first, ...rest].flatMap((d) => d.certificates),
    workloadState: Object.assign({}, first.workloadState, ...rest.map((d) => d.workloadState)) as ConfigDump["workloadState"],
  };
};

type Show = (ctx: Context, name: string | undefined, o: Options) => Promise<string>;

const workload: Show = async (ctx, name, o) => {
  const chosen = chosenWorkloads(await shared(ctx, name, o), { address: o.address, namespace: o.workloadNamespace, node: o.workloadNode });
  return formatted(parseFormat(o.output), chosen, workloadTable);
};
const service: Show = async (ctx, name, o) =>
  formatted(parseFormat(o.output), chosenServices(await shared(ctx, name, o), o.serviceNamespace), serviceTable);
const policy: Show = async (ctx, name, o) => {
  const all = (await shared(ctx, name, o)).policies;
  const chosen = o.policyNamespace === undefined ? all : all.filter((p) => p.namespace === o.policyNamespace);
  return formatted(parseFormat(o.output), chosen, policyTable);
};
const certificate: Show = async (ctx, name, o) =>
  formatted(parseFormat(o.output), (await merged(ctx, name, o)).certificates, (c) => certificateTable(c, ctx.world.now()));
const connections: Show = async (ctx, name, o) => {
  const dump = await merged(ctx, name, o);
  return parseFormat(o.output) === "short"
    ? connectionTable(dump, { direction: o.direction, raw: o.raw })
    : formatted(parseFormat(o.output), dump.workloadState, () => "");
};
const all: Show = async (ctx, name, o) => {
  const dump = await merged(ctx, name, o);
  return formatted(parseFormat(o.output), dump, (d) =>
    [
      workloadTable(chosenWorkloads(d, {})),
      serviceTable(chosenServices(d, undefined)),
      policyTable(d.policies),
      certificateTable(d.certificates, ctx.world.now()),
      connectionTable(d, {}),
    ].join("\n"),
  );
};

/** Adds `ztunnel-config` with its subcommands; flags and aliases as istioctl's. */
export const addZtunnelConfig = (program: Command, ctx: Context): void => {
  const group = program.command("ztunnel-config").alias("zc").description("show what a ztunnel knows and does");
  const add = ([name, ...aliases]: readonly [string, ...string[]], about: string, show: Show): Command => {
    const command = group
      .command(`${name} [ztunnel-or-pod]`)
      .aliases(aliases)
      .description(about)
      .option("--node <node>", "the ztunnel of this node")
      .option("-f, --file <file>", "a saved /config_dump instead of a running ztunnel (- for standard input)")
      .option("-o, --output <format>", "short, json or yaml", "short")
      .option("--proxy-admin-port <port>", "the ztunnel's admin port", "15000");
    command.action(async (target: string | undefined, options: Options) => ctx.print(await show(ctx, target, options)));
    return command;
  };
  add(["workload", "workloads", "w"], "workloads: address, node, waypoint and protocol", workload)
    .option("--address <ip>", "only the workload with this address")
    .option("--workload-namespace <namespace>", "only workloads of this namespace")
    .option("--workload-node <node>", "only workloads on this node");
  add(["service", "services", "svc", "s"], "services: VIPs, waypoint and endpoints", service).option(
    "--service-namespace <namespace>",
    "only services of this namespace",
  );
  add(["policy", "policies", "p", "pol"], "authorization policies", policy).option(
    "--policy-namespace <namespace>",
    "only policies of this namespace",
  );
  add(["certificate", "certificates", "certs", "cert"], "certificates of the identities on the node", certificate);
  add(["connections", "connection", "cons"], "open connections", connections)
    .option("--direction <direction>", "inbound or outbound")
    .option("--raw", "addresses instead of names");
  add(["all"], "all of the above", all);
};
