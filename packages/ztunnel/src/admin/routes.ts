// What does ztunnel answer its operator? (15000, loopback only)

import { AdminError, type AdminReply, type AdminRequest, type AdminRoutes } from "@ambit/shared/admin/server.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import type { ExplainAnswer, ExplainQuestion } from "../thread/messages.ts";
import { configDump, type DumpSources } from "./dump.ts";
import type { ProfileKind, ProfileQuestion } from "./profile.ts";

export type AdminSources = {
  dump(): Promise<DumpSources>;
  /** Asks a data thread: it is the one that decides. */
  explain(question: ExplainQuestion): Promise<ExplainAnswer>;
  /** A profile of a data thread, or of the control thread ("control"); undefined when there is no such thread. */
  profile(thread: number | "control", question: ProfileQuestion): Promise<string | undefined>;
  readonly logger: Logger;
  /** The levels have been changed: those who log elsewhere are told. */
  onLevels(): void;
  /** Begins an orderly shutdown. */
  quit(): void;
};

const explain = async (s: AdminSources, which: ExplainQuestion["which"], r: AdminRequest): Promise<AdminReply> => {
  const answer = await s.explain({ which, query: [...r.query] });
  if ("error" in answer) throw new AdminError(answer.status, answer.error);
  return answer;
};

const numberOf = (r: AdminRequest, name: string, [min, max, otherwise]: readonly [number, number, number]): number => {
  const given = r.query.get(name);
  const n = given === null ? otherwise : /^\d{1,6}$/.test(given) ? Number(given) : Number.NaN;
  if (n >= min && n <= max) return n;
  throw new AdminError(400, `${name}: want a whole number from ${min} to ${max}`);
};

const profile = async (s: AdminSources, kind: ProfileKind, r: AdminRequest): Promise<AdminReply> => {
  const thread = r.query.get("thread") === "control" ? "control" : numberOf(r, "thread", [0, 999, 0]);
  const question = { kind, seconds: numberOf(r, "seconds", [1, 300, 10]), perSecond: numberOf(r, "frequency", [1, 1_000, 100]) };
  const taken = await s.profile(thread, question);
  if (taken === undefined) throw new AdminError(404, `there is no data thread ${thread}`);
  return { text: taken, contentType: "application/json" };
};

export const adminRoutes = (s: AdminSources): AdminRoutes => ({
  "/config_dump": {
    about: "workloads, services, policies, certificates and connections, as JSON",
    handle: async () => ({ json: configDump(await s.dump()) }),
  },
  "/explain/outbound": {
    about: "?namespace=&pod=&to=ip:port: where a connection of the pod would go, and why",
    handle: (r) => explain(s, "outbound", r),
  },
  "/explain/inbound": {
    about: "?namespace=&pod=&to=ip:port&source=spiffe://…|none&sourceIp=: whether the pod would be reached, and why",
    handle: (r) => explain(s, "inbound", r),
  },
  "/debug/pprof/profile": {
    about: "?seconds=10&frequency=100&thread=0|1|…|control: what a thread does, as V8's .cpuprofile (not pprof's format)",
    handle: (r) => profile(s, "cpu", r),
  },
  "/debug/pprof/heap": {
    about: "?seconds=10&thread=0|1|…|control: what allocated what still lives, as V8's .heapprofile (not pprof's format)",
    handle: (r) => profile(s, "heap", r),
  },
  "/logging": {
    about: "shows the log levels; ?level=info or ?level=scope=debug,… sets them, ?reset restores them",
    methods: ["POST", "GET"],
    handle: (r) => {
      const level = r.query.get("level");
      if (r.method === "GET" && r.query.size > 0) throw new AdminError(405, "levels are changed by POST");
      if (r.query.has("reset")) {
        s.logger.resetLevels();
        s.onLevels();
      } else if (level !== null) {
        const set = s.logger.setLevels(level);
        if (!set.ok) throw new AdminError(400, set.error);
        s.onLevels();
      }
      return { text: `current log level is ${s.logger.levels()}\n` };
    },
  },
  "/quitquitquit": {
    about: "shuts down",
    methods: ["POST"],
    handle: () => {
      s.quit();
      return { text: "shutdown now\n" };
    },
  },
});
