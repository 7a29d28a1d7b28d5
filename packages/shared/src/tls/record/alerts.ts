// Which alerts do two ends tell each other? (RFC 8446 section 6)

export const ALERT = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  handshake_failure: 40,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  inappropriate_fallback: 86,
  user_canceled: 90,
  missing_extension: 109,
  unsupported_extension: 110,
  unrecognized_name: 112,
  bad_certificate_status_response: 113,
  unknown_psk_identity: 115,
  certificate_required: 116,
  no_application_protocol: 120,
} as const;
export type AlertName = keyof typeof ALERT;

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(ALERT).map(([name, code]) => [code, name]));

/** The peer broke a rule of TLS: it is told with the alert, and the connection is over. */
export class TlsFault extends Error {
  override readonly name = "TlsFault";
  readonly code = "ERR_TLS_RECORD";
  readonly alert: AlertName;

  constructor(alert: AlertName, detail: string) {
    super(`${detail} (${alert})`);
    this.alert = alert;
  }
}

/** The peer ended the connection with an alert. */
export class PeerAlert extends Error {
  override readonly name = "PeerAlert";
  readonly code = "ERR_TLS_ALERT";
  readonly alert: string;

  constructor(code: number) {
    const alert = NAMES.get(code) ?? `alert ${code}`;
    super(`the peer ended the connection with the TLS alert ${alert}`);
    this.alert = alert;
  }
}

/** An alert record's content. The level is legacy: warning for a closure, else fatal. */
export const alertContent = (name: AlertName): Buffer =>
  Buffer.from([name === "close_notify" || name === "user_canceled" ? 1 : 2, ALERT[name]]);

/** What an alert record says: the peer's half is over, nothing, or (thrown) TlsFault or PeerAlert. */
export const readAlert = (content: Buffer): "close" | "ignore" => {
  const code = content[1];
  if (content.length !== 2 || code === undefined) throw new TlsFault("decode_error", `an alert of ${content.length} octets`);
  if (code === ALERT.close_notify) return "close";
  // Followed by close_notify (section 6.1).
  if (code === ALERT.user_canceled) return "ignore";
  throw new PeerAlert(code);
};
