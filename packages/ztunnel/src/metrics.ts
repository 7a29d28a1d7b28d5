// What does ztunnel count, and how is one connection reported from its opening to its end? (ambient-l4 section 6)

import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { Meter } from "@ambit/shared/copy/splice.ts";
import type { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import { bare } from "@ambit/shared/telemetry/log-line.ts";
import type { CounterChild, GaugeChild, Metrics } from "@ambit/shared/telemetry/metrics.ts";
import { completeFields, openedFields, TRAFFIC_LABELS, type Traffic, trafficLabels } from "./traffic.ts";

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

/** The istio_tcp_* families and the access log. */
export const createConnectionReports = (metrics: Pick<Metrics, "counter" | "gauge">, access: ScopedLogger, now: () => number): ConnectionReports => {
  const family = (name: string, help: string) => metrics.counter({ name, help, labels: TRAFFIC_LABELS });
  const opened = family("istio_tcp_connections_opened_total", "The total number of TCP connections opened.");
  const closed = family("istio_tcp_connections_closed_total", "The total number of TCP connections closed.");
  const failed = family("istio_tcp_connections_failed_total", "The total number of TCP connections that failed to establish.");
  // Received is client to server and sent is server to client, whoever reports (istio/istio#32399).
  const received = family("istio_tcp_received_bytes_total", "The total bytes received from the client.");
  const sent = family("istio_tcp_sent_bytes_total", "The total bytes sent to the client.");
  const sockets = metrics.gauge({ name: "istio_tcp_sockets_open", help: "Connections being served now.", labels: ["reporter"] });

  return {
    open: (traffic, startedAt) => {
      const labels = trafficLabels(traffic, "-");
      opened.with(labels).add();
      if (access.enabled("debug")) access.debug("connection opened", openedFields(traffic));
      const fromClient = meter(received.with(labels));
      const fromServer = meter(sent.with(labels));
      let ended = false;
      return {
        fromClient,
        fromServer,
        end: (error) => {
          if (ended) return;
          ended = true;
          const final = error === undefined ? labels : trafficLabels(traffic, error.rescue.l4Flag);
          closed.with(final).add();
          if (error !== undefined) failed.with(final).add();
          const outcome = {
            fromClient: fromClient.bytes,
            fromServer: fromServer.bytes,
            durationMs: now() - startedAt,
            error: error?.message,
          };
          access[error === undefined ? "info" : "error"]("connection complete", completeFields(traffic, outcome));
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
    socketsOpen: (reporter) => sockets.with({ reporter }),
  };
};
