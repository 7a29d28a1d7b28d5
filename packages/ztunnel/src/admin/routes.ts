// What does ztunnel answer its operator? (15000, loopback only)

import { AdminError, type AdminReply, type AdminRequest, type AdminRoutes } from "@ambit/shared/admin/server.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import type { ExplainAnswer, ExplainQuestion } from "../thread/messages.ts";
import { configDump, type DumpSources } from "./dump.ts";

export type AdminSources = {
  dump(): Promise<DumpSources>;
  /** Asks a data thread: it is the one that decides. */
  explain(question: ExplainQuestion): Promise<ExplainAnswer>;
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
