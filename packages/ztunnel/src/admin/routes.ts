// What does ztunnel answer its operator? (15000, loopback only)

import { AdminError, type AdminRoutes } from "@ambit/shared/admin/server.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import { configDump, type DumpSources } from "./dump.ts";
import { type ExplainSources, explainInbound, explainOutbound } from "./explain.ts";

export type AdminSources = {
  dump(): DumpSources;
  readonly explain: ExplainSources;
  readonly logger: Logger;
  /** Begins an orderly shutdown. */
  quit(): void;
};

export const adminRoutes = (s: AdminSources): AdminRoutes => ({
  "/config_dump": {
    about: "workloads, services, policies, certificates and connections, as JSON",
    handle: () => ({ json: configDump(s.dump()) }),
  },
  "/explain/outbound": {
    about: "?namespace=&pod=&to=ip:port: where a connection of the pod would go, and why",
    handle: (r) => ({ json: explainOutbound(s.explain, r) }),
  },
  "/explain/inbound": {
    about: "?namespace=&pod=&to=ip:port&source=spiffe://…|none&sourceIp=: whether the pod would be reached, and why",
    handle: (r) => ({ json: explainInbound(s.explain, r) }),
  },
  "/logging": {
    about: "shows the log levels; ?level=info or ?level=scope=debug,… sets them, ?reset restores them",
    methods: ["POST", "GET"],
    handle: (r) => {
      const level = r.query.get("level");
      if (r.method === "GET" && r.query.size > 0) throw new AdminError(405, "levels are changed by POST");
      if (r.query.has("reset")) s.logger.resetLevels();
      else if (level !== null) {
        const set = s.logger.setLevels(level);
        if (!set.ok) throw new AdminError(400, set.error);
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
