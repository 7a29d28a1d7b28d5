// Who is asking?

export type User = {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: { readonly [key: string]: readonly string[] };
};

export const AUTHENTICATED = "system:authenticated";
export const UNAUTHENTICATED = "system:unauthenticated";

export const ANONYMOUS: User = { name: "system:anonymous", groups: [UNAUTHENTICATED] };

const add = (groups: readonly string[], ...more: string[]): string[] => [...new Set([...groups, ...more])];

/** The user of a verified client certificate: CN is the name, every O a group. */
export const certificateUser = (commonName: string, organizations: readonly string[]): User => ({
  name: commonName,
  groups: add(organizations, AUTHENTICATED),
});

export const serviceAccountName = (namespace: string, name: string): string => `system:serviceaccount:${namespace}:${name}`;

export const serviceAccountGroups = (namespace: string): string[] => [
  "system:serviceaccounts",
  `system:serviceaccounts:${namespace}`,
  AUTHENTICATED,
];

/** The subject of "system:serviceaccount:<namespace>:<name>"; undefined for other users. */
export const parseServiceAccount = (user: string): { namespace: string; name: string } | undefined => {
  const m = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user);
  return m === null ? undefined : { namespace: m[1] ?? "", name: m[2] ?? "" };
};

/** A user somebody else acts as; the groups gain the standing ones that Kubernetes adds. */
export const impersonated = (name: string, groups: readonly string[], extra: User["extra"]): User => {
  const sa = parseServiceAccount(name);
  const base = groups.length > 0 || sa === undefined ? groups : serviceAccountGroups(sa.namespace);
  const standing = name === ANONYMOUS.name ? UNAUTHENTICATED : AUTHENTICATED;
  return { name, groups: add(base, standing), ...(extra === undefined ? {} : { extra }) };
};

/** As authentication.k8s.io/v1 UserInfo. */
export const userInfo = (u: User): { username: string; uid?: string; groups: readonly string[]; extra?: User["extra"] } => ({
  username: u.name,
  ...(u.uid === undefined ? {} : { uid: u.uid }),
  groups: u.groups,
  ...(u.extra === undefined ? {} : { extra: u.extra }),
});
