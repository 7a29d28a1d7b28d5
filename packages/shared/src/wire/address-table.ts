// Which fields has istio.workload.Address? (the numbers of proto/workload.proto; a test holds the two together)

import { entryOf, table } from "./table.ts";

const UINT32_VALUE = table("UInt32Value", { 1: ["value", "uint32"] });

const PORT = table("Port", { 1: ["servicePort", "uint32"], 2: ["targetPort", "uint32"], 3: ["appProtocol", "int32"] });
const PORT_LIST = table("PortList", { 1: ["ports", { repeated: { message: PORT } }] });

const NETWORK_ADDRESS = table("NetworkAddress", { 1: ["network", "string"], 2: ["address", "bytes"], 3: ["length", "optional-uint32"] });
const NAMESPACED_HOSTNAME = table("NamespacedHostname", { 1: ["namespace", "string"], 2: ["hostname", "string"] });
const GATEWAY = table("GatewayAddress", {
  1: ["hostname", { message: NAMESPACED_HOSTNAME }],
  2: ["address", { message: NETWORK_ADDRESS }],
  3: ["hboneMtlsPort", "uint32"],
});
const LOCALITY = table("Locality", { 1: ["region", "string"], 2: ["zone", "string"], 3: ["subzone", "string"] });
const APPLICATION_TUNNEL = table("ApplicationTunnel", { 1: ["protocol", "int32"], 2: ["port", "uint32"] });

const WORKLOAD = table("Workload", {
  1: ["name", "string"],
  2: ["namespace", "string"],
  3: ["addresses", { repeated: "bytes" }],
  4: ["network", "string"],
  5: ["tunnelProtocol", "int32"],
  6: ["trustDomain", "string"],
  7: ["serviceAccount", "string"],
  8: ["waypoint", { message: GATEWAY }],
  9: ["node", "string"],
  10: ["canonicalName", "string"],
  11: ["canonicalRevision", "string"],
  12: ["workloadType", "int32"],
  13: ["workloadName", "string"],
  14: ["nativeTunnel", "bool"],
  16: ["authorizationPolicies", { repeated: "string" }],
  17: ["status", "int32"],
  18: ["clusterId", "string"],
  19: ["networkGateway", { message: GATEWAY }],
  20: ["uid", "string"],
  21: ["hostname", "string"],
  22: ["services", { mapOf: entryOf(PORT_LIST) }],
  23: ["applicationTunnel", { message: APPLICATION_TUNNEL }],
  24: ["locality", { message: LOCALITY }],
  25: ["networkMode", "int32"],
  27: ["capacity", { message: UINT32_VALUE }],
});

const LOAD_BALANCING = table("LoadBalancing", {
  1: ["routingPreference", { repeated: "int32" }],
  2: ["mode", "int32"],
  3: ["healthPolicy", "int32"],
});
const WEIGHTED_WAYPOINT = table("WeightedWaypoint", { 1: ["destination", { message: GATEWAY }], 2: ["weight", "uint32"] });

const ANY = table("Any", { 1: ["typeUrl", "string"], 2: ["value", "bytes"] });
const EXTENSION = table("Extension", { 1: ["name", "string"], 2: ["config", { message: ANY }] });

const SERVICE = table("Service", {
  1: ["name", "string"],
  2: ["namespace", "string"],
  3: ["hostname", "string"],
  4: ["addresses", { repeated: { message: NETWORK_ADDRESS } }],
  5: ["ports", { repeated: { message: PORT } }],
  6: ["subjectAltNames", { repeated: "string" }],
  7: ["waypoint", { message: GATEWAY }],
  8: ["loadBalancing", { message: LOAD_BALANCING }],
  9: ["ipFamilies", "int32"],
  10: ["extensions", { repeated: { message: EXTENSION } }],
  11: ["canonical", "bool"],
  12: ["ingressUseWaypoint", "bool"],
  13: ["weightedWaypoints", { repeated: { message: WEIGHTED_WAYPOINT } }],
  14: ["visibility", "int32"],
});

export const ADDRESS_TABLE = table("Address", { 1: ["workload", { message: WORKLOAD }], 2: ["service", { message: SERVICE }] });
