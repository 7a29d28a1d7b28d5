// What does ztunnel count, and how is one connection reported from its opening to its end? (ambient-l4 section 6)

import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { Meter } from "@ambit/shared/copy/splice.ts";
import type { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import { bare } from "@ambit/shared/telemetry/log-line.ts";
import type { CounterChild, GaugeChild, Metrics } from "@ambit/shared/telemetry/metrics.ts";
import { createParties } from "./parties.ts";
import { completeFields, openedFields, TRAFFIC_LABELS, type Traffic, trafficKey, trafficLabels } from "./traffic.ts";

export type ConnectionRecord = {
  readonly fromClient: Meter;
  readonly fromServer: Meter;
  /** Counts and logs the end, once. Without an error: it was complete. */
  end(error?: MeshError): void;
};

export type ConnectionReports = {
  /** Call when it is known where the connection goes; startedAt in milliseconds since the epoch. */
  open(traffic: Traffic, startedAt: number): ConnectionRecord;
  /** A connection that ended before it was known where it goes. */
  rejected(early: {
    readonly from: SocketAddr;
    readonly to: SocketAddr;
    readonly direction: "inbound" | "outbound";
    readonly error: MeshError;
  }): void;
  socketsOpen(reporter: "source" | "destination"): GaugeChild;
};

const meter = (total: CounterChild): Meter & { readonly bytes: number } => {
  let bytes = 0;
  return {
    add: (n) => {
      bytes += n;
      total.add(n);
    },
    get bytes() {
      return bytes;
    },
  };
};

const FAMILIES = {
  opened: { name: "istio_tcp_connections_opened_total", help: "The total number of TCP connections opened." },
  closed: { name: "istio_tcp_connections_closed_total", help: "The total number of TCP connections closed." },
  failed: { name: "istio_tcp_connections_failed_total", help: "The total number of TCP connections that failed to establish." },
  // Received is client to server and sent is server to client, whoever reports (istio/istio#32399).
  received: { name: "istio_tcp_received_bytes_total", help: "The total bytes received from the client." },
  sent: { name: "istio_tcp_sent_bytes_total", help: "The total bytes sent to the client." },
} as const;
type Counts = Readonly<Record<keyof typeof FAMILIES, CounterChild>>;

/** Label sets whose counters are found by a short key; a key that was forgotten finds the same counters by its labels. */
const MOST_REMEMBERED = 8_192;

/** The istio_tcp_* families and the access log. */
export const createConnectionReports = (
  metrics: Pick<Metrics, "counters" | "gauge">,
  access: ScopedLogger,
  now: () => number,
): ConnectionReports => {
  const families = metrics.counters({ labels: TRAFFIC_LABELS, families: FAMILIES });
  const sockets = metrics.gauge({ name: "istio_tcp_sockets_open", help: "Connections being served now.", labels: ["reporter"] });
  const open = { source: sockets.with({ reporter: "source" }), destination: sockets.with({ reporter: "destination" }) };
  const parties = createParties();
  const remembered = new Map<string, Counts>();

  const countsOf = (traffic: Traffic, flags: string): Counts => {
    const key = trafficKey(traffic, parties, flags);
    const known = remembered.get(key);
    if (known !== undefined) return known;
    if (remembered.size >= MOST_REMEMBERED) remembered.clear();
    const counts = families.with(trafficLabels(traffic, flags));
    remembered.set(key, counts);
    return counts;
  };

  return {
    open: (traffic, startedAt) => {
      const counts = countsOf(traffic, "-");
      counts.opened.add();
      // Shown from the beginning, as Istio does.
      counts.received.add(0);
      counts.sent.add(0);
      if (access.enabled("debug")) access.debug("connection opened", openedFields(traffic, parties));
      const fromClient = meter(counts.received);
      const fromServer = meter(counts.sent);
      let ended = false;
      return {
        fromClient,
        fromServer,
        end: (error) => {
          if (ended) return;
          ended = true;
          const final = error === undefined ? counts : countsOf(traffic, error.rescue.l4Flag);
          final.closed.add();
          if (error !== undefined) final.failed.add();
          const level = error === undefined ? "info" : "error";
          if (!access.enabled(level)) return;
          const outcome = {
            fromClient: fromClient.bytes,
            fromServer: fromServer.bytes,
            durationMs: now() - startedAt,
            error: error?.message,
          };
          access[level]("connection complete", completeFields(traffic, parties, outcome));
        },
      };
    },
    rejected: ({ from, to, direction, error }) =>
      access.warn("connection failed", {
        "src.addr": bare(formatSocketAddr(from)),
        "dst.addr": bare(formatSocketAddr(to)),
        direction,
        error: error.message,
      }),
    socketsOpen: (reporter) => open[reporter],
  };
};
