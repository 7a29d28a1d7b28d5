// Is a pod's specification (in a Pod or a workload's template) consistent in itself? (pkg/apis/core/validation)

import { badValue, type Cause, duplicate, notSupported, required } from "../model/errors.ts";
import { type JsonObject, num, obj, objects, str } from "../model/object.ts";
import { labelBreach } from "../write/names.ts";

const named = (items: readonly JsonObject[], path: string, taken: Set<string>): Cause[] =>
  items.flatMap((c, i) => {
    const name = str(c.name) ?? "";
    if (name === "") return [required(`${path}[${i}].name`)];
    const why = labelBreach(name);
    const causes = why === undefined ? [] : [badValue(`${path}[${i}].name`, name, why)];
    if (taken.has(name)) causes.push(duplicate(`${path}[${i}].name`, name));
    taken.add(name);
    return causes;
  });

const portCauses = (c: JsonObject, path: string): Cause[] => {
  const names = new Set<string>();
  return objects(c.ports).flatMap((p, i) => {
    const at = `${path}.ports[${i}]`;
    const port = num(p.containerPort) ?? 0;
    const name = str(p.name);
    const causes =
      port === 0
        ? [required(`${at}.containerPort`)]
        : port > 65_535 || port < 0
          ? [badValue(`${at}.containerPort`, port, "must be between 1 and 65535, inclusive")]
          : [];
    if (name !== undefined && names.has(name)) causes.push(duplicate(`${at}.name`, name));
    if (name !== undefined) names.add(name);
    return causes;
  });
};

const HANDLERS = ["exec", "httpGet", "tcpSocket", "grpc"] as const;

const probeCauses = (c: JsonObject, path: string): Cause[] =>
  ["livenessProbe", "readinessProbe", "startupProbe"].flatMap((kind) => {
    const probe = c[kind];
    if (probe === undefined) return [];
    const given = HANDLERS.filter((h) => obj(probe)[h] !== undefined).length;
    if (given === 0) return [required(`${path}.${kind}`, "must specify a handler type")];
    return given > 1
      ? [{ reason: "FieldValueForbidden", message: "Forbidden: may not specify more than 1 handler type", field: `${path}.${kind}` }]
      : [];
  });

const mountCauses = (c: JsonObject, path: string, volumes: ReadonlySet<string>): Cause[] => {
  const paths = new Set<string>();
  return objects(c.volumeMounts).flatMap((m, i) => {
    const at = `${path}.volumeMounts[${i}]`;
    const [name, mountPath] = [str(m.name) ?? "", str(m.mountPath) ?? ""];
    const causes: Cause[] = [];
    if (!volumes.has(name))
      causes.push({ reason: "FieldValueNotFound", message: `Not found: ${JSON.stringify(name)}`, field: `${at}.name` });
    if (mountPath === "") causes.push(required(`${at}.mountPath`));
    if (paths.has(mountPath)) causes.push(badValue(`${at}.mountPath`, mountPath, "must be unique"));
    paths.add(mountPath);
    return causes;
  });
};

const containerCauses = (c: JsonObject, path: string, volumes: ReadonlySet<string>): Cause[] => [
  ...((str(c.image) ?? "") === "" ? [required(`${path}.image`)] : []),
  ...portCauses(c, path),
  ...probeCauses(c, path),
  ...mountCauses(c, path, volumes),
];

const volumeCauses = (volumes: readonly JsonObject[], path: string): Cause[] => [
  ...named(volumes, path, new Set()),
  ...volumes.flatMap((v, i) => {
    const sources = Object.keys(v).filter((k) => k !== "name");
    if (sources.length === 0) return [required(`${path}[${i}]`, "must specify a volume type")];
    return sources.length > 1
      ? [{ reason: "FieldValueForbidden", message: "Forbidden: may not specify more than 1 volume type", field: `${path}[${i}]` }]
      : [];
  }),
];

/** `template` holds workload templates to restartPolicy Always. */
export const podSpecCauses = (spec: JsonObject, path: string, template: boolean): Cause[] => {
  const [containers, init, volumes] = [objects(spec.containers), objects(spec.initContainers), objects(spec.volumes)];
  const names = new Set<string>();
  const volumeNames = new Set(volumes.flatMap((v) => str(v.name) ?? []));
  const restart = str(spec.restartPolicy) ?? "Always";
  return [
    ...(containers.length === 0 ? [required(`${path}.containers`)] : []),
    ...volumeCauses(volumes, `${path}.volumes`),
    ...named(init, `${path}.initContainers`, names),
    ...named(containers, `${path}.containers`, names),
    ...init.flatMap((c, i) => containerCauses(c, `${path}.initContainers[${i}]`, volumeNames)),
    ...containers.flatMap((c, i) => containerCauses(c, `${path}.containers[${i}]`, volumeNames)),
    ...(template && restart !== "Always" ? [notSupported(`${path}.restartPolicy`, restart, ["Always"])] : []),
  ];
};
