// Who carries an opaque connection to its backend?

import type { Duplex } from "node:stream";
import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import { authorize, verdictText } from "@ambit/shared/authz/authorize.ts";
import { type SpliceEnd, splice } from "@ambit/shared/copy/splice.ts";
import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import type { Addressed, Connection } from "../http/context.ts";
import { tcpPolicySet, tcpSubject } from "../route/rbac.ts";
import { type Choice, type Chosen, chooseEndpoint, type Origin, reach } from "../upstream/choose.ts";
import type { Dial } from "../upstream/connect.ts";
import { planTcp } from "./plan.ts";

export type TcpDeps = {
  readonly view: MeshView;
  readonly origin: () => Origin;
  readonly dial: Dial;
  readonly world: World;
  readonly observe: TcpObserver;
};

/** What telemetry tells of a connection, live and at its end. */
export type TcpReport = {
  readonly connection: Connection;
  readonly addressed: Addressed;
  readonly startedAt: number;
  upstream:
    | {
        readonly workload: Workload;
        readonly address: SocketAddr;
        readonly service: { readonly namespace: string; readonly hostname: string };
      }
    | undefined;
  received: number;
  sent: number;
  failure: MeshError | undefined;
};
export type TcpObserver = { opened(report: TcpReport): void; closed(report: TcpReport): void };

/** At most so many endpoints are tried; the connection has carried nothing yet, so a further one is safe. */
const DIALS = 3;

const choose = ({ addressed: a, connection }: TcpReport, tried: ReadonlySet<string>, d: TcpDeps): Choice => {
  const toward = connection.destination.ip;
  if (a.workload !== undefined) {
    const chosen = reach(a.workload, a.port.port, { appProtocol: "TCP", service: a.service, toward });
    if (chosen !== undefined) return { kind: "chosen", chosen, candidates: [] };
  }
  const plan = planTcp(a.service, a.port, d.world.random());
  if (plan.kind === "fail") return { kind: "none", error: new MeshError(plan.code, plan.detail), candidates: [] };
  return chooseEndpoint({ view: d.view, backend: plan.backend, from: d.origin(), toward, tried, random: d.world.random, active: () => 0 });
};

const open = async (report: TcpReport, signal: AbortSignal, d: TcpDeps): Promise<Duplex> => {
  const tried = new Set<string>();
  let last: MeshError | undefined;
  for (let i = 0; i < DIALS && !signal.aborted; i++) {
    const choice = choose(report, tried, d);
    if (choice.kind === "none") throw last ?? choice.error;
    const { chosen }: { chosen: Chosen } = choice;
    report.upstream = { workload: chosen.workload, address: chosen.address, service: chosen.service };
    try {
      return await d.dial(chosen, signal);
    } catch (e) {
      last = asMeshError(e, "CONNECT");
      tried.add(chosen.workload.uid);
    }
  }
  throw last ?? asMeshError(signal.reason, "CLIENT_GONE");
};

/** What ended it, if it was not the two sides themselves. */
export const failureOf = (end: SpliceEnd): MeshError | undefined => {
  switch (end.why) {
    case "closed":
      return undefined;
    case "aborted":
      return asMeshError(end.reason, "DENY_LATE");
    case "failed":
      return asMeshError(end.error, "UPSTREAM_RESET");
  }
};

/** Whether the service's policies let the connection pass, without any HTTP attribute. */
export const authorizeTcp = (connection: Connection, addressed: Addressed): MeshError | undefined => {
  const verdict = authorize(tcpPolicySet(addressed.service), tcpSubject(connection));
  return verdict.allowed ? undefined : new MeshError("DENY", verdictText(verdict));
};

/** Dials at once, so that a server that speaks first is heard. Ends when both directions have, or when the signal aborts. Never rejects. */
export const serveTcp = async (
  downstream: Duplex,
  at: { connection: Connection; addressed: Addressed; signal: AbortSignal },
  d: TcpDeps,
): Promise<void> => {
  const { connection, addressed, signal } = at;
  const report: TcpReport = {
    connection,
    addressed,
    startedAt: d.world.now(),
    upstream: undefined,
    received: 0,
    sent: 0,
    failure: undefined,
  };
  let told = false;
  const opened = (): void => {
    if (!told) d.observe.opened(report);
    told = true;
  };
  try {
    const denied = authorizeTcp(connection, addressed);
    if (denied !== undefined) throw denied;
    const upstream = await open(report, signal, d);
    opened(); // not before it is known where it goes: that is among the labels
    const forward = {
      add: (n: number) => {
        report.received += n;
      },
    };
    const backward = {
      add: (n: number) => {
        report.sent += n;
      },
    };
    report.failure = failureOf(await splice(downstream, upstream, { forward, backward, signal }));
  } catch (e) {
    report.failure = asMeshError(e, "CONNECT");
    downstream.on("error", () => undefined);
    downstream.destroy();
  }
  opened();
  d.observe.closed(report);
};
