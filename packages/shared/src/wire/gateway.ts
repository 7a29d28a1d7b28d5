// How are ports and gateway addresses written and read? (parts of istio.workload)

import { ipBytes } from "../addr/ip.ts";
import { allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import type { AppProtocol, GatewayAddress, Port } from "../state/types.ts";
import { at, names, oneofCase, readIp, readPort } from "./read.ts";

export type WireNetworkAddress = { network: string; address: Uint8Array; length?: number | null };
export type WireGatewayAddress = {
  hostname?: { namespace: string; hostname: string } | null;
  address?: WireNetworkAddress | null;
  hboneMtlsPort: number;
};
export type WirePort = { servicePort: number; targetPort: number; appProtocol: number };

const appProtocol = names<AppProtocol>("UNKNOWN", "HTTP11", "HTTP2", "GRPC", "TCP", "TLS");

export const writePort = (p: Port): WirePort => ({
  servicePort: p.servicePort,
  targetPort: p.targetPort,
  appProtocol: appProtocol.write(p.appProtocol),
});

export const readServicePort = (p: WirePort): Result<Port> =>
  allOf({
    servicePort: readPort("service_port", p.servicePort),
    targetPort: readPort("target_port", p.targetPort),
    appProtocol: appProtocol.read("app_protocol", p.appProtocol),
  });

export const writeGateway = (g: GatewayAddress): WireGatewayAddress => ({
  hboneMtlsPort: g.hboneMtlsPort,
  ...(g.destination.kind === "hostname"
    ? { hostname: { namespace: g.destination.namespace, hostname: g.destination.hostname } }
    : { address: { network: g.destination.network, address: ipBytes(g.destination.ip) } }),
});

const readDestination = (g: WireGatewayAddress): Result<GatewayAddress["destination"]> => {
  const which = oneofCase("destination", g, ["hostname", "address"]);
  if (!which.ok) return which;
  if (g.hostname) {
    const { namespace, hostname } = g.hostname;
    return hostname === "" ? err("destination: the hostname is empty") : ok({ kind: "hostname", namespace, hostname });
  }
  const network = g.address?.network ?? "";
  if (g.address?.length !== null && g.address?.length !== undefined) return err("destination: a gateway's address may not be a block");
  return mapOk(readIp(g.address?.address ?? new Uint8Array()), (ip) => ({ kind: "address" as const, network, ip }));
};

export const readGateway = (field: string, g: WireGatewayAddress): Result<GatewayAddress> =>
  at(field, allOf({ destination: readDestination(g), hboneMtlsPort: readPort("hbone_mtls_port", g.hboneMtlsPort) }));

export const readOptionalGateway = (field: string, g: WireGatewayAddress | null | undefined): Result<GatewayAddress | undefined> =>
  g === null || g === undefined ? ok(undefined) : readGateway(field, g);
