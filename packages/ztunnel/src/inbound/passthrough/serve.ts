// How is a plaintext connection carried to the application, or refused? (15006)

import type { Socket } from "node:net";
import { splice } from "@ambit/shared/copy/splice.ts";
import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { Pod } from "../../pod.ts";
import type { Accepted } from "../../tcp/accept.ts";
import { refuse } from "../../tcp/cut.ts";
import type { Traffic } from "../../traffic.ts";
import { type InboundDeps, reportDryRun } from "../serve.ts";
import { planPassthrough } from "./plan.ts";

const carry = async (pod: Pod, deps: InboundDeps, client: Accepted): Promise<void> => {
  const startedAt = deps.world.now();
  const abort = new AbortController();
  const gone = (): void => abort.abort(new MeshError("CLIENT_GONE", "the client closed before the connection was made"));
  client.socket.once("close", gone);
  using _taken = pod.taken.track(client, (reason) => abort.abort(reason));
  const workload = await pod.workload(abort.signal);
  const plan = planPassthrough(deps.view, { workload, remote: client.from, to: client.to });
  reportDryRun(deps, workload, plan.subject);
  const services = Object.keys(workload.services).flatMap((key) => deps.view.service(key) ?? []);
  const traffic: Traffic = {
    reporter: "destination",
    source: { addr: client.from, workload: deps.view.workloadByAddress(workload.network, client.from.ip), identity: undefined },
    destination: {
      addr: client.to,
      hboneAddr: undefined,
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
  let app: Socket;
  try {
    app = await pod.net.dial(plan.to, { from: plan.as, signal: abort.signal, halfOpen: true });
  } catch (e) {
    return refused(asMeshError(e, "CONNECT"));
  }
  client.socket.removeListener("close", gone);
  const end = await splice(client.socket, app, { forward: record.fromClient, backward: record.fromServer, signal: abort.signal });
  record.end(end.why === "closed" ? undefined : asMeshError(end.why === "aborted" ? end.reason : end.error, "CONNECT"));
};

/** Serves one plaintext connection to its end; never rejects. */
export const servePassthrough = async (pod: Pod, deps: InboundDeps, client: Accepted): Promise<void> => {
  const open = deps.reports.socketsOpen("destination");
  open.add(1);
  try {
    await carry(pod, deps, client);
  } catch (e) {
    deps.reports.rejected({ from: client.from, to: client.to, direction: "inbound", error: asMeshError(e, "CONNECT") });
    refuse(client.socket);
  } finally {
    open.add(-1);
  }
};
