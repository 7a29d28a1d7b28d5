// What do the other objects of the core group look like, as far as we read them? (unknown fields stay in the values, untyped)

import type { Condition, IntOrString, KubeObject, Labels, ObjectReference } from "./meta.ts";
import type { Taint } from "./pod.ts";

export type ServicePort = {
  readonly name?: string;
  readonly port: number;
  readonly protocol?: string;
  readonly targetPort?: IntOrString;
  readonly nodePort?: number;
  readonly appProtocol?: string;
};
export type ServiceSpec = {
  readonly type?: string;
  readonly clusterIP?: string;
  readonly clusterIPs?: readonly string[];
  readonly externalIPs?: readonly string[];
  readonly externalName?: string;
  readonly ipFamilies?: readonly string[];
  readonly ipFamilyPolicy?: string;
  readonly selector?: Labels;
  readonly ports?: readonly ServicePort[];
  readonly publishNotReadyAddresses?: boolean;
  readonly sessionAffinity?: string;
  readonly internalTrafficPolicy?: string;
  readonly trafficDistribution?: string;
};
export type ServiceStatus = {
  readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
  readonly conditions?: readonly Condition[];
};
export type Service = KubeObject & { readonly spec: ServiceSpec; readonly status?: ServiceStatus };
export type EndpointAddress = {
  readonly ip: string;
  readonly hostname?: string;
  readonly nodeName?: string;
  readonly targetRef?: ObjectReference;
};
export type EndpointSubset = {
  readonly addresses?: readonly EndpointAddress[];
  readonly notReadyAddresses?: readonly EndpointAddress[];
  readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol?: string; readonly appProtocol?: string }[];
};
export type Endpoints = KubeObject & { readonly subsets?: readonly EndpointSubset[] };
export type Node = KubeObject & {
  readonly spec?: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly providerID?: string;
    readonly unschedulable?: boolean;
    readonly taints?: readonly Taint[];
  };
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly Condition[];
    readonly nodeInfo?: Labels;
    readonly capacity?: Labels;
    readonly allocatable?: Labels;
  };
};
export type Namespace = KubeObject & {
  readonly spec?: { readonly finalizers?: readonly string[] };
  readonly status?: { readonly phase?: string; readonly conditions?: readonly Condition[] };
};
/** Values are base64. */
export type Secret = KubeObject & {
  readonly type?: string;
  readonly data?: Labels;
  readonly stringData?: Labels;
  readonly immutable?: boolean;
};
export type ConfigMap = KubeObject & { readonly data?: Labels; readonly binaryData?: Labels; readonly immutable?: boolean };
export type ServiceAccount = KubeObject & {
  readonly automountServiceAccountToken?: boolean;
  readonly secrets?: readonly ObjectReference[];
  readonly imagePullSecrets?: readonly { readonly name?: string }[];
};
export type TokenRequest = KubeObject & {
  readonly spec: { readonly audiences?: readonly string[]; readonly expirationSeconds?: number; readonly boundObjectRef?: ObjectReference };
  readonly status?: { readonly token: string; readonly expirationTimestamp: string };
};
export type TokenReview = KubeObject & {
  readonly spec: { readonly token: string; readonly audiences?: readonly string[] };
  readonly status?: {
    readonly authenticated?: boolean;
    readonly user?: {
      readonly username?: string;
      readonly uid?: string;
      readonly groups?: readonly string[];
      readonly extra?: Readonly<Record<string, readonly string[]>>;
    };
    readonly audiences?: readonly string[];
    readonly error?: string;
  };
};
export type Event = KubeObject & {
  readonly involvedObject: ObjectReference;
  readonly reason?: string;
  readonly message?: string;
  readonly type?: string;
  readonly count?: number;
  readonly firstTimestamp?: string;
  readonly lastTimestamp?: string;
  readonly source?: { readonly component?: string; readonly host?: string };
  readonly reportingComponent?: string;
};
