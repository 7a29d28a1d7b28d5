// Which custom resources does the mesh bring, under which names, versions and columns? (as upstream's CRDs have them)

export type Column = { readonly name: string; readonly type: "string" | "date"; readonly jsonPath: string; readonly description?: string };

export type CrdVersion = {
  readonly name: string;
  /** Its schema file in the packages. */
  readonly schema: string;
  readonly storage?: true;
};

export type CrdRow = {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly scope: "Namespaced" | "Cluster";
  readonly versions: readonly CrdVersion[];
  readonly columns: readonly Column[];
  readonly status: boolean;
  readonly annotations: { readonly [name: string]: string };
  /** Status is whatever the controllers of any version write. */
  readonly openStatus?: true;
};

const GATEWAY = "gateway.networking.k8s.io";
const AGE: Column = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

const column = (name: string, jsonPath: string, description?: string): Column => ({
  name,
  type: "string",
  jsonPath,
  ...(description === undefined ? {} : { description }),
});

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

type Part = Pick<CrdRow, "kind" | "plural" | "shortNames" | "columns"> & { readonly versions: readonly string[]; readonly storage: string };

const versionsOf = (part: Part, schema: (version: string) => string): readonly CrdVersion[] =>
  part.versions.map((name) => ({ name, schema: schema(name), ...(name === part.storage ? { storage: true as const } : {}) }));

const gateway = (part: Part, scope: CrdRow["scope"] = "Namespaced", status = true): CrdRow => ({
  ...part,
  group: GATEWAY,
  categories: ["gateway-api"],
  scope,
  status,
  versions: versionsOf(part, (version) => `IoK8sSigsGatewayApiApis${capital(version)}${part.kind}`),
  annotations: {
    "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/4530",
    "gateway.networking.k8s.io/bundle-version": "v1.5.0",
    "gateway.networking.k8s.io/channel": "experimental",
  },
});

const istio = (group: string, part: Part): CrdRow => ({
  ...part,
  group,
  categories: ["istio-io", group.replaceAll(".", "-")],
  scope: "Namespaced",
  status: true,
  openStatus: true,
  versions: versionsOf(part, (version) => group.split(".").map(capital).join("") + capital(version) + part.kind),
  annotations: {},
});

const NETWORKING = "networking.istio.io";
const SECURITY = "security.istio.io";
const ROUTE_COLUMNS = [column("Hostnames", ".spec.hostnames"), AGE];

export const CRDS: readonly CrdRow[] = [
  gateway(
    {
      kind: "GatewayClass",
      plural: "gatewayclasses",
      shortNames: ["gc"],
      versions: ["v1", "v1beta1"],
      storage: "v1",
      columns: [
        column("Controller", ".spec.controllerName"),
        column("Accepted", '.status.conditions[?(@.type=="Accepted")].status'),
        AGE,
        { ...column("Description", ".spec.description") },
      ],
    },
    "Cluster",
  ),
  gateway({
    kind: "Gateway",
    plural: "gateways",
    shortNames: ["gtw"],
    versions: ["v1", "v1beta1"],
    storage: "v1",
    columns: [
      column("Class", ".spec.gatewayClassName"),
      column("Address", ".status.addresses[*].value"),
      column("Programmed", '.status.conditions[?(@.type=="Programmed")].status'),
      AGE,
    ],
  }),
  gateway({ kind: "HTTPRoute", plural: "httproutes", shortNames: [], versions: ["v1", "v1beta1"], storage: "v1", columns: ROUTE_COLUMNS }),
  gateway({ kind: "GRPCRoute", plural: "grpcroutes", shortNames: [], versions: ["v1"], storage: "v1", columns: ROUTE_COLUMNS }),
  gateway({
    kind: "TLSRoute",
    plural: "tlsroutes",
    shortNames: [],
    versions: ["v1", "v1alpha2", "v1alpha3"],
    storage: "v1",
    columns: ROUTE_COLUMNS,
  }),
  gateway({ kind: "TCPRoute", plural: "tcproutes", shortNames: [], versions: ["v1alpha2"], storage: "v1alpha2", columns: [AGE] }),
  gateway(
    {
      kind: "ReferenceGrant",
      plural: "referencegrants",
      shortNames: ["refgrant"],
      versions: ["v1", "v1beta1"],
      storage: "v1beta1",
      columns: [AGE],
    },
    "Namespaced",
    false,
  ),
  gateway({
    kind: "BackendTLSPolicy",
    plural: "backendtlspolicies",
    shortNames: ["btlspolicy"],
    versions: ["v1", "v1alpha3"],
    storage: "v1",
    columns: [AGE],
  }),
  istio(SECURITY, {
    kind: "AuthorizationPolicy",
    plural: "authorizationpolicies",
    shortNames: ["ap"],
    versions: ["v1", "v1beta1"],
    storage: "v1",
    columns: [column("Action", ".spec.action", "The operation to take."), AGE],
  }),
  istio(SECURITY, {
    kind: "PeerAuthentication",
    plural: "peerauthentications",
    shortNames: ["pa"],
    versions: ["v1", "v1beta1"],
    storage: "v1",
    columns: [column("Mode", ".spec.mtls.mode", "Defines the mTLS mode used for peer authentication."), AGE],
  }),
  istio(SECURITY, {
    kind: "RequestAuthentication",
    plural: "requestauthentications",
    shortNames: ["ra"],
    versions: ["v1", "v1beta1"],
    storage: "v1",
    columns: [AGE],
  }),
  istio(NETWORKING, {
    kind: "VirtualService",
    plural: "virtualservices",
    shortNames: ["vs"],
    versions: ["v1", "v1alpha3", "v1beta1"],
    storage: "v1",
    columns: [
      column("Gateways", ".spec.gateways", "The names of gateways and sidecars that should apply these routes"),
      column("Hosts", ".spec.hosts", "The destination hosts to which traffic is being sent"),
      AGE,
    ],
  }),
  istio(NETWORKING, {
    kind: "DestinationRule",
    plural: "destinationrules",
    shortNames: ["dr"],
    versions: ["v1", "v1alpha3", "v1beta1"],
    storage: "v1",
    columns: [column("Host", ".spec.host", "The name of a service from the service registry"), AGE],
  }),
  istio(NETWORKING, {
    kind: "ServiceEntry",
    plural: "serviceentries",
    shortNames: ["se"],
    versions: ["v1", "v1alpha3", "v1beta1"],
    storage: "v1",
    columns: [
      column("Hosts", ".spec.hosts", "The hosts associated with the ServiceEntry"),
      column(
        "Location",
        ".spec.location",
        "Whether the service is external to the mesh or part of the mesh (MESH_EXTERNAL or MESH_INTERNAL)",
      ),
      column("Resolution", ".spec.resolution", "Service resolution mode for the hosts (NONE, STATIC, or DNS)"),
      AGE,
    ],
  }),
  istio(NETWORKING, {
    kind: "WorkloadEntry",
    plural: "workloadentries",
    shortNames: ["we"],
    versions: ["v1", "v1alpha3", "v1beta1"],
    storage: "v1",
    columns: [AGE, column("Address", ".spec.address", "Address associated with the network endpoint.")],
  }),
  istio(NETWORKING, {
    kind: "Sidecar",
    plural: "sidecars",
    shortNames: [],
    versions: ["v1", "v1alpha3", "v1beta1"],
    storage: "v1",
    columns: [AGE],
  }),
  istio(NETWORKING, {
    kind: "Gateway",
    plural: "gateways",
    shortNames: ["gw"],
    versions: ["v1", "v1alpha3", "v1beta1"],
    storage: "v1",
    columns: [AGE],
  }),
  istio("telemetry.istio.io", {
    kind: "Telemetry",
    plural: "telemetries",
    shortNames: ["telemetry"],
    versions: ["v1", "v1alpha1"],
    storage: "v1",
    columns: [AGE],
  }),
  istio("extensions.istio.io", {
    kind: "WasmPlugin",
    plural: "wasmplugins",
    shortNames: [],
    versions: ["v1alpha1"],
    storage: "v1alpha1",
    columns: [AGE],
  }),
];
