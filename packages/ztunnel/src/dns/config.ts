// How is the DNS proxy configured? (Istio's environment variables, ambient-l4 section 1.2)

import { parseHostPort } from "@ambit/shared/addr/socket.ts";
import { type Env, type Parser, text } from "@ambit/shared/runtime/env.ts";
import { allOf, err, mapOk, ok, type Result } from "@ambit/shared/runtime/result.ts";

/** Where a pod's resolver finds us; the redirect rules lead to the loopback addresses. */
export type DnsAddress = { readonly at: readonly ("any" | "127.0.0.1" | "::1")[]; readonly port: number };

export type DnsConfig = {
  readonly enabled: boolean;
  readonly address: DnsAddress;
  /** "" for none. */
  readonly preferredNamespace: string;
  /** Whose nameservers are asked for what is not ours. */
  readonly resolvConf: string;
};

const LOOPBACK: DnsAddress = { at: ["127.0.0.1", "::1"], port: 15053 };

const PLACES: ReadonlyMap<string, DnsAddress["at"]> = new Map<string, DnsAddress["at"]>([
  ["localhost", ["127.0.0.1", "::1"]],
  ["127.0.0.1", ["127.0.0.1"]],
  ["::1", ["::1"]],
  ["0.0.0.0", ["any"]],
  ["::", ["any"]],
]);

const addressOf: Parser<DnsAddress> = (value) => {
  const parsed = parseHostPort(value);
  const at = parsed.ok ? PLACES.get(parsed.value.host) : undefined;
  return parsed.ok && at !== undefined
    ? ok({ at, port: parsed.value.port })
    : err('want "localhost:15053", or 127.0.0.1, [::1], 0.0.0.0 or [::] with a port');
};

/** On unless it is set to anything but "true", as Istio reads it. */
const switchedOn: Parser<boolean> = (value) => ok(value === "true");

export const dnsConfig = (env: Env): Result<DnsConfig> =>
  mapOk(
    allOf({
      enabled: env.optional("ISTIO_META_DNS_CAPTURE", switchedOn, true),
      address: env.optional("DNS_PROXY_ADDR", addressOf, LOOPBACK),
      preferredNamespace: env.optional("PREFERED_SERVICE_NAMESPACE", text, ""),
      resolvConf: env.optional("RESOLV_CONF", text, "/etc/resolv.conf"),
    }),
    (v) => v,
  );
