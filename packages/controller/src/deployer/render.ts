// What is deployed for a waypoint's Gateway? (ambient-l4 section 7.7)

import type { HostPort } from "@ambit/shared/addr/socket.ts";
import type { Gateway } from "@ambit/shared/kube/objects/gateway.ts";
import type { KubeObject, Labels } from "@ambit/shared/kube/objects/meta.ts";
import { RESOURCES, type Resource } from "@ambit/shared/kube/resources.ts";
import type { TlsPolicy } from "@ambit/shared/tls/policy.ts";
import { LABEL, MANAGED_BY_MESH } from "../model/labels.ts";
import type { MeshSettings } from "../model/settings.ts";

export type RenderSettings = {
  readonly mesh: MeshSettings;
  readonly image: string;
  readonly imagePullPolicy: string;
  /** Where waypoints find the controller. */
  readonly discoveryAddress: HostPort;
  /** Under which they speak, as we do. */
  readonly tls?: Pick<TlsPolicy, "compliance" | "minVersion">;
};

export type Manifest = { readonly resource: Resource; readonly object: KubeObject & Readonly<Record<string, unknown>> };

const READY_PORT = 15021;
const METRICS_PORT = 15020;
const USER = 1337;
/** Beside the roots, not among them: a mount within a read-only one needs help that not every runtime gives. */
const CRL_DIR = "/var/run/secrets/istio-crl";

/** ServiceAccount, Deployment and Service, all owned by the Gateway: they go when it goes. */
export const renderWaypoint = (gateway: Gateway, settings: RenderSettings): readonly Manifest[] => {
  const meta = metadata(gateway);
  return [
    { resource: RESOURCES.serviceAccounts, object: { metadata: meta } },
    { resource: RESOURCES.deployments, object: { metadata: meta, spec: deploymentSpec(gateway, settings) } },
    { resource: RESOURCES.services, object: { metadata: meta, spec: serviceSpec(gateway) } },
  ];
};

const gatewayLabel = (gateway: Gateway): Labels => ({ [LABEL.gatewayName]: gateway.metadata.name });

const commonLabels = (gateway: Gateway): Labels => ({
  ...gateway.spec.infrastructure?.labels,
  ...gatewayLabel(gateway),
  [LABEL.gatewayClassName]: gateway.spec.gatewayClassName,
  [LABEL.gatewayManaged]: MANAGED_BY_MESH,
});

const metadata = (gateway: Gateway): KubeObject["metadata"] => {
  const annotations = gateway.spec.infrastructure?.annotations ?? {};
  return {
    name: gateway.metadata.name,
    namespace: gateway.metadata.namespace ?? "",
    labels: commonLabels(gateway),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    ownerReferences: [
      {
        apiVersion: "gateway.networking.k8s.io/v1",
        kind: "Gateway",
        name: gateway.metadata.name,
        uid: gateway.metadata.uid ?? "",
      },
    ],
  };
};

const deploymentSpec = (gateway: Gateway, settings: RenderSettings) => ({
  selector: { matchLabels: gatewayLabel(gateway) },
  template: {
    metadata: {
      labels: {
        ...commonLabels(gateway),
        [LABEL.dataplaneMode]: "none",
        [LABEL.canonicalName]: gateway.metadata.name,
        [LABEL.canonicalRevision]: "latest",
      },
      annotations: {
        ...gateway.spec.infrastructure?.annotations,
        "prometheus.io/path": "/stats/prometheus",
        "prometheus.io/port": String(METRICS_PORT),
        "prometheus.io/scrape": "true",
      },
    },
    spec: {
      serviceAccountName: gateway.metadata.name,
      terminationGracePeriodSeconds: 30,
      containers: [container(settings)],
      volumes: [
        {
          name: "istio-token",
          projected: { sources: [{ serviceAccountToken: { audience: "istio-ca", expirationSeconds: 43_200, path: "istio-token" } }] },
        },
        { name: "istiod-ca-cert", configMap: { name: "istio-ca-root-cert" } },
        { name: "istio-ca-crl", configMap: { name: "istio-ca-crl", optional: true } },
      ],
    },
  },
});

const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });

/** Told only where they differ from what a waypoint does by itself. */
const securityEnv = ({ mesh, tls }: RenderSettings) => [
  ...(mesh.trustDomainAliases.length === 0 ? [] : [{ name: "TRUST_DOMAIN_ALIASES", value: mesh.trustDomainAliases.join(",") }]),
  ...(tls?.compliance === "pqc" ? [{ name: "COMPLIANCE_POLICY", value: "pqc" }] : []),
  ...(tls?.minVersion === "TLSv1.2" ? [{ name: "TLS12_ENABLED", value: "true" }] : []),
  { name: "CRL_PATH", value: `${CRL_DIR}/ca-crl.pem` },
];

const container = (settings: RenderSettings) => {
  const { mesh, image, imagePullPolicy, discoveryAddress } = settings;
  const address = `https://${discoveryAddress.host}:${discoveryAddress.port}`;
  const probe = { httpGet: { path: "/healthz/ready", port: READY_PORT } };
  return {
    name: "istio-proxy",
    image,
    imagePullPolicy,
    args: ["proxy", "waypoint"],
    ports: [
      { name: "metrics", containerPort: METRICS_PORT, protocol: "TCP" },
      { name: "status-port", containerPort: READY_PORT, protocol: "TCP" },
      { name: "mesh", containerPort: 15_008, protocol: "TCP" },
    ],
    env: [
      field("POD_NAME", "metadata.name"),
      field("POD_NAMESPACE", "metadata.namespace"),
      field("INSTANCE_IP", "status.podIP"),
      field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
      field("NODE_NAME", "spec.nodeName"),
      field("GATEWAY_NAME", `metadata.labels['${LABEL.gatewayName}']`),
      { name: "XDS_ADDRESS", value: address },
      { name: "CA_ADDRESS", value: address },
      { name: "CLUSTER_ID", value: mesh.clusterId },
      { name: "CLUSTER_DOMAIN", value: mesh.clusterDomain },
      { name: "TRUST_DOMAIN", value: mesh.trustDomain },
      { name: "NETWORK", value: mesh.network },
      { name: "TOKEN_FILE", value: "/var/run/secrets/tokens/istio-token" },
      { name: "ROOT_CERT_FILE", value: "/var/run/secrets/istio/root-cert.pem" },
      { name: "TERMINATION_GRACE_PERIOD_SECONDS", value: "30" },
      ...securityEnv(settings),
    ],
    resources: { requests: { cpu: "100m", memory: "128Mi" } },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
      runAsGroup: USER,
      runAsNonRoot: true,
      runAsUser: USER,
    },
    startupProbe: { ...probe, failureThreshold: 30, periodSeconds: 1, timeoutSeconds: 1 },
    readinessProbe: { ...probe, failureThreshold: 4, periodSeconds: 15, timeoutSeconds: 1 },
    volumeMounts: [
      { name: "istio-token", mountPath: "/var/run/secrets/tokens", readOnly: true },
      { name: "istiod-ca-cert", mountPath: "/var/run/secrets/istio", readOnly: true },
      { name: "istio-ca-crl", mountPath: CRL_DIR, readOnly: true },
    ],
  };
};

const serviceSpec = (gateway: Gateway) => ({
  type: "ClusterIP",
  ipFamilyPolicy: "PreferDualStack",
  trafficDistribution: "PreferClose",
  selector: gatewayLabel(gateway),
  ports: [
    { name: "status-port", port: READY_PORT, protocol: "TCP", targetPort: READY_PORT, appProtocol: "tcp" },
    ...gateway.spec.listeners
      .filter((l) => l.protocol === "HBONE")
      .map((l) => ({ name: l.name, port: l.port, protocol: "TCP", targetPort: l.port, appProtocol: "hbone" })),
  ],
});
