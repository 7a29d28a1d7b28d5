// What does the waypoint tell its operator? (/config_dump, /explain, /logging on loopback)

import { parseIp } from "@ambit/shared/addr/ip.ts";
import { parseSocketAddr } from "@ambit/shared/addr/socket.ts";
import { AdminError, type AdminRequest, type AdminRoutes, readParam, requiredParam } from "@ambit/shared/admin/server.ts";
import type { CertState } from "@ambit/shared/ca/types.ts";
import { parseSpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { dumpCertificate } from "@ambit/shared/proxy/dump.ts";
import type { WaypointService } from "@ambit/shared/route/types.ts";
import { dumpPolicy, dumpService, dumpWorkload } from "@ambit/shared/state/config-dump.ts";
import type { MeshStore } from "@ambit/shared/state/store.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import { isToken } from "../http/fields.ts";
import type { HeaderField } from "../http/message.ts";
import { isPath } from "../http1/head.ts";
import { type ExplainDeps, explain, type Question } from "./explain.ts";

export type AdminSources = {
  readonly store: MeshStore;
  services(): Iterable<WaypointService>;
  certificates(): readonly CertState[];
  connections(): readonly unknown[];
  readonly config: object;
  readonly version: string;
  readonly explain: ExplainDeps;
  readonly logger: Logger;
};

/** Istio's keys, and `waypointServices`: the services we own with their ports, rules and policies as they were pushed. */
const dump = (s: AdminSources): object => ({
  workloads: [...s.store.workloads()].map(dumpWorkload),
  services: [...s.store.services()].map((service) => dumpService(service, s.store.view.endpoints(serviceKey(service)))),
  policies: [...s.services()].flatMap((o) => o.policies.map(dumpPolicy)),
  stagedServices: {},
  staticConfig: {},
  version: { version: s.version },
  config: s.config,
  certificates: s.certificates().map(dumpCertificate),
  workloadState: {},
  waypointServices: [...s.services()],
  connections: s.connections(),
});

const headerParam = (text: string): HeaderField => {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(0, colon)).trim().toLowerCase();
  if (!isToken(name)) throw new AdminError(400, `header: ${JSON.stringify(text)} is not name:value`);
  return [name, text.slice(colon + 1).trim()];
};

const readQuestion = (r: AdminRequest): Question => {
  const path = r.query.get("path") ?? "/";
  if (!isPath(path)) throw new AdminError(400, `path: ${JSON.stringify(path)} is not a path`);
  return {
    authority: readParam("authority", parseSocketAddr(requiredParam(r, "authority"))),
    source: readParam("source", parseSpiffeId(requiredParam(r, "source"))),
    sourceIp: readParam("sourceIp", parseIp(r.query.get("sourceIp") ?? "0.0.0.0")),
    method: (r.query.get("method") ?? "GET").toUpperCase(),
    path,
    host: r.query.get("host") ?? undefined,
    headers: r.query.getAll("header").map(headerParam),
  };
};

const setLevels = (r: AdminRequest, logger: Logger) => {
  const level = r.query.get("level");
  if (level !== null) readParam("level", logger.setLevels(level));
  return { text: `${logger.levels()}\n` };
};

export const adminRoutes = (s: AdminSources): AdminRoutes => ({
  "/config_dump": { about: "services, rules, policies, workloads and certificates held", handle: () => ({ json: dump(s) }) },
  "/explain": {
    about: "what would happen to a request: authority, source, and optionally sourceIp, method, path, host, header (repeatable)",
    handle: (r) => ({ json: explain(readQuestion(r), s.explain) }),
  },
  "/logging": { about: "log levels; POST ?level= sets them", methods: ["GET", "POST"], handle: (r) => setLevels(r, s.logger) },
});
