// What do Istio's objects look like, as far as we read them? (unknown fields stay in the values, untyped)

import type { Condition, KubeObject, Labels } from "./meta.ts";

export type PolicyTargetReference = { readonly group?: string; readonly kind: string; readonly name: string; readonly namespace?: string };
export type AuthorizationSource = {
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
  readonly requestPrincipals?: readonly string[];
  readonly notRequestPrincipals?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  readonly serviceAccounts?: readonly string[];
  readonly notServiceAccounts?: readonly string[];
  readonly ipBlocks?: readonly string[];
  readonly notIpBlocks?: readonly string[];
  readonly remoteIpBlocks?: readonly string[];
  readonly notRemoteIpBlocks?: readonly string[];
};
export type AuthorizationOperation = {
  readonly hosts?: readonly string[];
  readonly notHosts?: readonly string[];
  readonly ports?: readonly string[];
  readonly notPorts?: readonly string[];
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
};
export type AuthorizationRule = {
  readonly from?: readonly { readonly source?: AuthorizationSource }[];
  readonly to?: readonly { readonly operation?: AuthorizationOperation }[];
  readonly when?: readonly { readonly key: string; readonly values?: readonly string[]; readonly notValues?: readonly string[] }[];
};
export type IstioStatus = { readonly conditions?: readonly Condition[]; readonly observedGeneration?: number | string };
export type AuthorizationPolicy = KubeObject & {
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: Labels };
    readonly targetRef?: PolicyTargetReference;
    readonly targetRefs?: readonly PolicyTargetReference[];
    readonly action?: string;
    readonly rules?: readonly AuthorizationRule[];
    readonly provider?: { readonly name?: string };
  };
  readonly status?: IstioStatus;
};
export type PeerAuthentication = KubeObject & {
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: Labels };
    readonly mtls?: { readonly mode?: string };
    readonly portLevelMtls?: Readonly<Record<string, { readonly mode?: string }>>;
  };
  readonly status?: IstioStatus;
};
export type RequestAuthentication = KubeObject & {
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: Labels };
    readonly targetRef?: PolicyTargetReference;
    readonly targetRefs?: readonly PolicyTargetReference[];
  };
  readonly status?: IstioStatus;
};
export type WorkloadEntrySpec = {
  readonly address?: string;
  readonly ports?: Readonly<Record<string, number>>;
  readonly labels?: Labels;
  readonly network?: string;
  readonly locality?: string;
  readonly weight?: number;
  readonly serviceAccount?: string;
};
export type ServiceEntry = KubeObject & {
  readonly spec?: {
    readonly hosts: readonly string[];
    readonly addresses?: readonly string[];
    readonly ports?: readonly {
      readonly number: number;
      readonly name: string;
      readonly protocol?: string;
      readonly targetPort?: number;
    }[];
    readonly location?: string;
    readonly resolution?: string;
    readonly endpoints?: readonly WorkloadEntrySpec[];
    readonly workloadSelector?: { readonly labels?: Labels };
    readonly exportTo?: readonly string[];
    readonly subjectAltNames?: readonly string[];
  };
  readonly status?: IstioStatus & { readonly addresses?: readonly { readonly value?: string; readonly host?: string }[] };
};
export type WorkloadEntry = KubeObject & { readonly spec?: WorkloadEntrySpec; readonly status?: IstioStatus };
