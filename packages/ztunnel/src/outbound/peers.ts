// Which identities may answer a tunnel, and on which port?

import { parseSpiffeId, type SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { type GatewayAddress, identityOf, type Service, type Workload } from "@ambit/shared/state/types.ts";
import { HBONE_PORT } from "../ports.ts";

/** The names a service's endpoints may have beside their own. One that is no SPIFFE id is left out: that only narrows who is accepted. */
export const serviceIds = (service: Service | undefined): readonly SpiffeId[] =>
  (service?.subjectAltNames ?? []).flatMap((uri) => {
    const id = parseSpiffeId(uri);
    return id.ok ? [id.value] : [];
  });

/** The workload's own identity first, then its service's names. */
export const expectOf = (workload: Workload, service: Service | undefined): readonly SpiffeId[] => {
  const own = identityOf(workload);
  return [own, ...serviceIds(service).filter((id) => id.uri !== own.uri)];
};

/** A gateway that says no port has the tunnels' own. */
export const tunnelPort = (gateway: GatewayAddress): number => (gateway.hboneMtlsPort === 0 ? HBONE_PORT : gateway.hboneMtlsPort);
