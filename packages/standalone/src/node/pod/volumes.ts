// Which files does a projected, configMap, secret or downwardAPI volume hold?

import type { DownwardItem, KeyToPath, Pod, ProjectedSource, Volume } from "@ambit/shared/kube/objects/pod.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import type { Lookups } from "./env.ts";
import { fieldValue, type NodeCapacity, type PodPlace, resourceValue } from "./fields.ts";

export type VolumeFile = { readonly bytes: Buffer; readonly mode: number };
export type VolumeFiles = ReadonlyMap<string, VolumeFile>;

export type TokenRef = { readonly audience: string; readonly expirationSeconds: number; readonly path: string };

export type VolumeContext = {
  readonly pod: Pod;
  readonly place: PodPlace;
  readonly capacity: NodeCapacity;
  readonly lookups: Lookups;
  /** The tokens that `tokensOf` asked for, by `tokenKey`. */
  readonly tokens: ReadonlyMap<string, string>;
};

const DEFAULT_MODE = 0o644;
const DEFAULT_EXPIRY_SECONDS = 3600;

/** An empty audience means the API server's own. */
export const tokenKey = (t: Pick<TokenRef, "audience" | "expirationSeconds">): string => `${t.audience} ${t.expirationSeconds}`;

const sourcesOf = (volume: Volume): readonly ProjectedSource[] => {
  if (volume.projected !== undefined) return volume.projected.sources ?? [];
  if (volume.configMap !== undefined) return [{ configMap: volume.configMap }];
  if (volume.secret !== undefined) {
    const { secretName, ...rest } = volume.secret;
    return [{ secret: { ...rest, name: secretName } }];
  }
  return volume.downwardAPI === undefined ? [] : [{ downwardAPI: volume.downwardAPI }];
};

/** Whether the volume is made of API objects (and so kept up to date while the pod runs). */
export const isProjected = (volume: Volume): boolean => sourcesOf(volume).length > 0 || volume.projected !== undefined;

/** The service account tokens that the volume needs. */
export const tokensOf = (volume: Volume): readonly TokenRef[] =>
  sourcesOf(volume).flatMap(({ serviceAccountToken: t }) =>
    t === undefined ? [] : [{ audience: t.audience ?? "", expirationSeconds: t.expirationSeconds ?? DEFAULT_EXPIRY_SECONDS, path: t.path }],
  );

/** The ConfigMaps and Secrets that the volume reads. */
export const refersTo = (volume: Volume, kind: "configMap" | "secret", name: string): boolean =>
  sourcesOf(volume).some((s) => s[kind]?.name === name);

const pickKeys = (
  data: ReadonlyMap<string, Buffer>,
  items: readonly KeyToPath[] | undefined,
  from: { readonly what: string; readonly mode: number; readonly optional: boolean },
): Result<readonly (readonly [string, VolumeFile])[]> => {
  if (items === undefined || items.length === 0) return ok([...data].map(([key, bytes]) => [key, { bytes, mode: from.mode }]));
  const files: [string, VolumeFile][] = [];
  for (const item of items) {
    const bytes = data.get(item.key);
    if (bytes === undefined) {
      if (from.optional) continue;
      return err(`${from.what} references non-existent key: ${item.key}`);
    }
    files.push([item.path, { bytes, mode: item.mode ?? from.mode }]);
  }
  return ok(files);
};

const downward = (items: readonly DownwardItem[], c: VolumeContext, mode: number): Result<readonly (readonly [string, VolumeFile])[]> => {
  const files: [string, VolumeFile][] = [];
  for (const item of items) {
    const value =
      item.fieldRef !== undefined
        ? fieldValue(item.fieldRef.fieldPath, c.pod, c.place)
        : item.resourceFieldRef !== undefined
          ? resourceValue(item.resourceFieldRef, c.pod, { container: "", capacity: c.capacity })
          : err(`the item ${item.path} has neither fieldRef nor resourceFieldRef`);
    if (!value.ok) return value;
    files.push([item.path, { bytes: Buffer.from(value.value), mode: item.mode ?? mode }]);
  }
  return ok(files);
};

const base64 = (data: Readonly<Record<string, string>> | undefined): readonly (readonly [string, Buffer])[] =>
  Object.entries(data ?? {}).map(([k, v]) => [k, Buffer.from(v, "base64")] as const);

const sourceFiles = (source: ProjectedSource, c: VolumeContext, mode: number): Result<readonly (readonly [string, VolumeFile])[]> => {
  if (source.serviceAccountToken !== undefined) {
    const t = source.serviceAccountToken;
    const token = c.tokens.get(tokenKey({ audience: t.audience ?? "", expirationSeconds: t.expirationSeconds ?? DEFAULT_EXPIRY_SECONDS }));
    return token === undefined ? err("the service account token is not there yet") : ok([[t.path, { bytes: Buffer.from(token), mode }]]);
  }
  if (source.configMap !== undefined) {
    const { name, items, optional = false } = source.configMap;
    const found = c.lookups.configMap(name);
    if (found === undefined) return optional ? ok([]) : err(`configmap "${name}" not found`);
    const data = new Map([...Object.entries(found.data ?? {}).map(([k, v]) => [k, Buffer.from(v)] as const), ...base64(found.binaryData)]);
    return pickKeys(data, items, { what: `configmap "${name}"`, mode, optional });
  }
  if (source.secret !== undefined) {
    const { name, items, optional = false } = source.secret;
    const found = c.lookups.secret(name);
    if (found === undefined) return optional ? ok([]) : err(`secret "${name}" not found`);
    return pickKeys(new Map(base64(found.data)), items, { what: `secret "${name}"`, mode, optional });
  }
  return downward(source.downwardAPI?.items ?? [], c, mode);
};

/** The volume's files by path below it; an error is a FailedMount and names what is missing. A path may not leave the volume. */
export const volumeFiles = (volume: Volume, c: VolumeContext): Result<VolumeFiles> => {
  const v = volume.projected ?? volume.configMap ?? volume.secret ?? volume.downwardAPI;
  const files = new Map<string, VolumeFile>();
  for (const source of sourcesOf(volume)) {
    const part = sourceFiles(source, c, v?.defaultMode ?? DEFAULT_MODE);
    if (!part.ok) return err(`volume "${volume.name}": ${part.error}`);
    for (const [path, file] of part.value) {
      if (path.startsWith("/") || path.split("/").some((p) => p === ".." || p === "" || p.startsWith("..")))
        return err(`volume "${volume.name}": the path ${path} leaves the volume`);
      files.set(path, file);
    }
  }
  return ok(files);
};
