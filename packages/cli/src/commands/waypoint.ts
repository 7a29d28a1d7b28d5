// ambit waypoint: deploy, list and delete waypoints

import { isNotFound } from "@ambit/shared/kube/error.ts";
import type { Namespace } from "@ambit/shared/kube/objects/core.ts";
import type { Gateway } from "@ambit/shared/kube/objects/gateway.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { Command } from "commander";
import { stringify } from "yaml";
import { UserError } from "../client/mesh.ts";
import type { Context } from "../context.ts";
import { table } from "../print/table.ts";

const CLASS = "istio-waypoint";
const FOR = "istio.io/waypoint-for";
const REVISION = "istio.io/rev";
const USE = "istio.io/use-waypoint";
const TRAFFIC = ["service", "workload", "all", "none"] as const;
const MANAGER = "ambit";

export type WaypointOptions = { name: string; for?: string; revision?: string };

/** The Gateway that stands for a waypoint, as istioctl generates it. */
export const waypointGateway = (namespace: string, o: WaypointOptions): Gateway => {
  if (o.for !== undefined && !TRAFFIC.some((t) => t === o.for)) throw new UserError(`--for ${o.for}: want one of ${TRAFFIC.join(", ")}`);
  const labels = { ...(o.for === undefined ? {} : { [FOR]: o.for }), ...(o.revision === undefined ? {} : { [REVISION]: o.revision }) };
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: o.name, namespace, ...(Object.keys(labels).length === 0 ? {} : { labels }) },
    spec: { gatewayClassName: CLASS, listeners: [{ name: "mesh", port: 15008, protocol: "HBONE" }] },
  };
};

const conditionOf = (g: Gateway, type: string): { status: string; reason: string; message: string } | undefined => {
  const c = g.status?.conditions?.find((x) => x.type === type);
  return c === undefined ? undefined : { status: c.status, reason: c.reason ?? "", message: c.message ?? "" };
};
const isProgrammed = (g: Gateway): boolean => conditionOf(g, "Programmed")?.status === "True";

const waypoints = async (ctx: Context, namespace: string | undefined): Promise<Gateway[]> => {
  const { items } = await ctx.cluster().client.list<Gateway>(RESOURCES.gateways, namespace === undefined ? {} : { namespace });
  return items
    .filter((g) => g.spec?.gatewayClassName === CLASS)
    .sort((a, b) => `${a.metadata.namespace}/${a.metadata.name}`.localeCompare(`${b.metadata.namespace}/${b.metadata.name}`));
};

const seconds = (text: string): number => {
  const m = /^(\d+)(s|m)?$/.exec(text);
  if (m === null) throw new UserError(`--wait-timeout ${text}: want a duration such as 90s`);
  return Number(m[1]) * (m[2] === "m" ? 60_000 : 1000);
};

/** Polls, as a person would; a Gateway changes a few times in its first seconds. */
const waitProgrammed = async (ctx: Context, key: { namespace: string; name: string }, timeoutMs: number): Promise<void> => {
  const deadline = ctx.world.now() + timeoutMs;
  for (;;) {
    const gateway = await ctx.cluster().client.get<Gateway>(RESOURCES.gateways, key);
    if (gateway !== undefined && isProgrammed(gateway)) return;
    if (ctx.world.now() > deadline) {
      const why =
        gateway === undefined ? "it is gone" : (conditionOf(gateway, "Programmed")?.message ?? "no status yet: is the controller running?");
      throw new UserError(`waypoint ${key.namespace}/${key.name} was not ready after ${timeoutMs / 1000} s: ${why}`);
    }
    await ctx.world.sleep(200);
  }
};

type ApplyOptions = WaypointOptions & { enrollNamespace?: boolean; overwrite?: boolean; wait?: boolean; waitTimeout: string };

const apply = async (ctx: Context, o: ApplyOptions): Promise<void> => {
  const { client, namespace } = ctx.cluster();
  const gateway = waypointGateway(namespace, o);
  if (o.enrollNamespace === true) await checkEnrolment(ctx, namespace, o);
  try {
    await client.patch(
      RESOURCES.gateways,
      { namespace, name: o.name },
      { type: "apply", body: gateway, fieldManager: MANAGER, force: true },
    );
  } catch (e) {
    if (!isNotFound(e)) throw e;
    throw new UserError(
      `namespace ${namespace} does not exist, or the Gateway API is not installed: ${e instanceof Error ? e.message : String(e)}`,
    );
  }
  ctx.print(`waypoint ${namespace}/${o.name} applied\n`);
  if (o.enrollNamespace === true) {
    await client.patch(RESOURCES.namespaces, { name: namespace }, { type: "merge", body: { metadata: { labels: { [USE]: o.name } } } });
    ctx.print(`namespace ${namespace} labeled with "${USE}: ${o.name}"\n`);
  }
  if (o.wait === true) {
    await waitProgrammed(ctx, { namespace, name: o.name }, seconds(o.waitTimeout));
    ctx.print(`waypoint ${namespace}/${o.name} is ready\n`);
  }
};

const checkEnrolment = async (ctx: Context, namespace: string, o: ApplyOptions): Promise<void> => {
  const ns = await ctx.cluster().client.get<Namespace>(RESOURCES.namespaces, { name: namespace });
  if (ns === undefined) throw new UserError(`namespace ${namespace} does not exist`);
  const current = ns.metadata.labels?.[USE];
  if (current !== undefined && current !== o.name && o.overwrite !== true)
    throw new UserError(`namespace ${namespace} already uses waypoint ${current}: give --overwrite to replace it`);
  if (ns.metadata.labels?.["istio.io/dataplane-mode"] !== "ambient")
    ctx.note(
      `warning: namespace ${namespace} does not have the label istio.io/dataplane-mode=ambient: its own pods will not use the waypoint\n`,
    );
};

const list = async (ctx: Context, everywhere: boolean): Promise<void> => {
  const found = await waypoints(ctx, everywhere ? undefined : ctx.cluster().namespace);
  if (found.length === 0) return ctx.print("No waypoints found.\n");
  const rows = found.map((g) => [
    ...(everywhere ? [g.metadata.namespace ?? ""] : []),
    g.metadata.name,
    g.metadata.labels?.[REVISION] ?? "default",
    g.metadata.labels?.[FOR] ?? "service",
    isProgrammed(g) ? "True" : "False",
  ]);
  ctx.print(table([...(everywhere ? ["NAMESPACE"] : []), "NAME", "REVISION", "TRAFFIC TYPE", "PROGRAMMED"], rows));
};

const status = async (ctx: Context, everywhere: boolean): Promise<void> => {
  const found = await waypoints(ctx, everywhere ? undefined : ctx.cluster().namespace);
  if (found.length === 0) return ctx.print("No waypoints found.\n");
  const rows = found.map((g) => {
    const c = conditionOf(g, "Programmed");
    return [
      ...(everywhere ? [g.metadata.namespace ?? ""] : []),
      g.metadata.name,
      c?.status ?? "Unknown",
      "Programmed",
      c?.reason ?? "",
      c?.message ?? "",
    ];
  });
  ctx.print(table([...(everywhere ? ["NAMESPACE"] : []), "NAME", "STATUS", "TYPE", "REASON", "MESSAGE"], rows));
};

const remove = async (ctx: Context, names: readonly string[], o: { all?: boolean; revision?: string }): Promise<void> => {
  const { client, namespace } = ctx.cluster();
  if ((names.length === 0) === (o.all !== true)) throw new UserError("give the names of the waypoints to delete, or --all, and not both");
  const here = (await waypoints(ctx, namespace)).filter(
    (g) => o.revision === undefined || (g.metadata.labels?.[REVISION] ?? "default") === o.revision,
  );
  const missing = names.filter((n) => !here.some((g) => g.metadata.name === n));
  const chosen = o.all === true ? here : here.filter((g) => names.includes(g.metadata.name));
  for (const g of chosen) {
    await client.delete(RESOURCES.gateways, { namespace, name: g.metadata.name });
    ctx.print(`waypoint ${namespace}/${g.metadata.name} deleted\n`);
  }
  if (missing.length > 0) throw new UserError(`there is no waypoint ${missing.map((n) => `${namespace}/${n}`).join(", ")}`);
  if (chosen.length === 0) ctx.print("No waypoints found.\n");
};

/** Adds `waypoint` with its subcommands; flags as istioctl's. */
export const addWaypoint = (program: Command, ctx: Context): void => {
  const group = program.command("waypoint").description("deploy, list and delete waypoints");
  const shape = (c: Command): Command =>
    c
      .option("--name <name>", "the waypoint's name", "waypoint")
      .option("--for <traffic>", `what it handles: ${TRAFFIC.join(", ")}`)
      .option("-r, --revision <revision>", "the revision that handles it");
  shape(group.command("generate").description("print the Gateway as YAML")).action((o: WaypointOptions) =>
    ctx.print(stringify(waypointGateway(ctx.cluster().namespace, o))),
  );
  shape(group.command("apply").description("deploy a waypoint in the namespace"))
    .option("--enroll-namespace", "label the namespace so that all its services use it")
    .option("--overwrite", "with --enroll-namespace: replace another waypoint's name")
    .option("-w, --wait", "until the waypoint is ready")
    .option("--wait-timeout <duration>", "how long --wait waits", "90s")
    .action((o: ApplyOptions) => apply(ctx, o));
  const everywhere = ["-A, --all-namespaces", "of every namespace"] as const;
  group
    .command("list")
    .description("waypoints and whether they are programmed")
    .option(...everywhere)
    .action((o: { allNamespaces?: boolean }) => list(ctx, o.allNamespaces === true));
  group
    .command("status")
    .description("why a waypoint is or is not ready")
    .option(...everywhere)
    .action((o: { allNamespaces?: boolean }) => status(ctx, o.allNamespaces === true));
  group
    .command("delete [names...]")
    .description("delete waypoints of the namespace")
    .option("--all", "every waypoint of the namespace")
    .option("-r, --revision <revision>", "only those of the revision")
    .action((names: string[], o: { all?: boolean; revision?: string }) => remove(ctx, names, o));
};
