// How is a plaintext connection carried to the application, or refused? (15006)

import type { Duplex } from "node:stream";
import type { End } from "@ambit/shared/copy/end.ts";
import { splice } from "@ambit/shared/copy/splice.ts";
import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { mintTraceparent } from "@ambit/shared/hbone/headers.ts";
import { anonymousClient, isAnonymous } from "@ambit/shared/hbone/uncaptured.ts";
import type { Pod } from "../../pod.ts";
import type { Accepted } from "../../tcp/accept.ts";
import { refuse } from "../../tcp/cut.ts";
import type { Traffic } from "../../traffic.ts";
import { type InboundDeps, reportDryRun } from "../serve.ts";
import { type PassthroughPlan, planPassthrough } from "./plan.ts";

type Carried = Exclude<PassthroughPlan, { kind: "reject" }>;

/** To the application; or to the waypoint, which must say that it does not take the client for this pod. Throws MeshError. */
const open = async (
  pod: Pod,
  deps: InboundDeps,
  { plan, client, signal }: { plan: Carried; client: Accepted; signal: AbortSignal },
): Promise<End | Duplex> => {
  if (plan.kind === "forward") return pod.net.dial(plan.to, { from: plan.as, signal, halfOpen: true });
  const { via, expect, authority } = plan.tunnel;
  if (deps.pool === undefined) throw new MeshError("WAYPOINT_UNAVAILABLE", `${authority} cannot be asked of its waypoint from here`);
  const headers = { ...anonymousClient(client.from), traceparent: mintTraceparent(deps.world.random) };
  const target = { self: pod.identity, expect, to: via, from: client.to.ip };
  const tunnel = await deps.pool.connect(target, { authority, headers }, signal);
  if (isAnonymous(tunnel.headers)) return tunnel.end;
  tunnel.end.cut();
  throw new MeshError(
    "DENY",
    `the waypoint of ${authority} would take a plaintext client for this pod: nothing was sent (ambit.dev/uncaptured)`,
  );
};

const carry = async (pod: Pod, deps: InboundDeps, client: Accepted): Promise<void> => {
  const startedAt = deps.world.now();
  const abort = new AbortController();
  const gone = (): void => abort.abort(new MeshError("CLIENT_GONE", "the client closed before the connection was made"));
  client.socket.once("close", gone);
  using _taken = pod.taken.track(client, (reason) => abort.abort(reason));
  const workload = await pod.workload(abort.signal);
  const plan = planPassthrough(deps.view, { workload, remote: client.from, to: client.to, own: deps.own }, deps.world.random);
  reportDryRun(deps, workload, plan.subject);
  const services = Object.keys(workload.services).flatMap((key) => deps.view.service(key) ?? []);
  const traffic: Traffic = {
    reporter: "destination",
    source: { addr: client.from, workload: deps.view.workloadByAddress(workload.network, client.from.ip), identity: undefined },
    destination: {
      addr: client.to,
      hboneAddr: plan.kind === "hairpin" ? plan.tunnel.authority : undefined,
      workload,
      identity: undefined,
      service: services.find((s) => workload.services[`${s.namespace}/${s.hostname}`]?.some((p) => p.targetPort === client.to.port)),
    },
    secured: false,
  };
  const record = deps.reports.open(traffic, startedAt);
  const refused = (error: MeshError): void => {
    record.end(error);
    refuse(client.socket);
  };
  if (plan.kind === "reject") return refused(new MeshError(plan.code, plan.detail));

  const info = { workload, subject: plan.subject, from: client.from, to: plan.to, protocol: "TCP" as const };
  using _tracked = pod.inbound.track(info, (reason) => abort.abort(reason));
  let app: End | Duplex;
  try {
    app = await open(pod, deps, { plan, client, signal: abort.signal });
  } catch (e) {
    return refused(asMeshError(e, "CONNECT"));
  }
  client.socket.removeListener("close", gone);
  const end = await splice(client.socket, app, { forward: record.fromClient, backward: record.fromServer, signal: abort.signal });
  record.end(end.why === "closed" ? undefined : asMeshError(end.why === "aborted" ? end.reason : end.error, "CONNECT"));
};

/** Serves one plaintext connection to its end; never rejects. */
export const servePassthrough = async (pod: Pod, deps: InboundDeps, client: Accepted): Promise<void> => {
  const sockets = deps.reports.socketsOpen("destination");
  sockets.add(1);
  try {
    await carry(pod, deps, client);
  } catch (e) {
    deps.reports.rejected({ from: client.from, to: client.to, direction: "inbound", error: asMeshError(e, "CONNECT") });
    refuse(client.socket);
  } finally {
    sockets.add(-1);
  }
};
