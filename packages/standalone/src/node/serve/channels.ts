// How do several byte streams share one WebSocket (v4 and v5.channel.k8s.io), and how is an exit status told there?

export const PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"] as const;

/** A port-forward whose binary messages are the bytes of a SPDY/3.1 connection (kubectl from 1.31 on). */
export const TUNNEL = "SPDY/3.1+portforward.k8s.io";

export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** The best protocol that both sides speak. */
export const chooseProtocol = (offered: ReadonlySet<string>): string | undefined => PROTOCOLS.find((p) => offered.has(p));

export const frame = (channel: number, bytes: Uint8Array): Buffer => Buffer.concat([Buffer.of(channel), bytes]);

export type Inbound =
  | { readonly kind: "data"; readonly channel: number; readonly bytes: Buffer }
  /** v5 only: the sender will send no more on the channel. */
  | { readonly kind: "close"; readonly channel: number }
  | { readonly kind: "invalid" };

export const parseFrame = (message: Buffer): Inbound => {
  const channel = message[0];
  if (channel === undefined) return { kind: "invalid" };
  if (channel === CHANNEL.close) return message[1] === undefined ? { kind: "invalid" } : { kind: "close", channel: message[1] };
  return { kind: "data", channel, bytes: message.subarray(1) };
};

/** What we say of a metav1.Status. */
export type Status = { readonly metadata: object; readonly code?: number } & (
  | { readonly status: "Success" }
  | { readonly status: "Failure"; readonly message: string; readonly reason: string; readonly details?: object }
);

/** The status that ends an exec: success, or the exit code as a cause. */
export const exitStatus = (code: number): Status =>
  code === 0
    ? { metadata: {}, status: "Success" }
    : {
        metadata: {},
        status: "Failure",
        message: `command terminated with non-zero exit code: exit status ${code}`,
        reason: "NonZeroExitCode",
        details: { causes: [{ reason: "ExitCode", message: String(code) }] },
      };

export const failureStatus = (message: string): Status => ({
  metadata: {},
  status: "Failure",
  message,
  reason: "InternalError",
  code: 500,
});

/** The size in a resize message ({"Width":80,"Height":24}); undefined when it is none. */
export const parseResize = (bytes: Buffer): { readonly rows: number; readonly columns: number } | undefined => {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return undefined; // a client's malformed resize changes nothing
  }
  if (typeof value !== "object" || value === null) return undefined;
  const rows: unknown = Reflect.get(value, "Height");
  const columns: unknown = Reflect.get(value, "Width");
  return typeof rows === "number" && typeof columns === "number" ? { rows, columns } : undefined;
};
