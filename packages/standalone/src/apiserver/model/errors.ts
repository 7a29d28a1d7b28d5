// Which errors does the API answer, and in whose words?

import type { JsonObject } from "./object.ts";

export type Cause = { readonly reason: string; readonly message: string; readonly field?: string };

export type StatusDetails = {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Cause[];
  readonly retryAfterSeconds?: number;
};

/** A request's failure as a Kubernetes Status: thrown by decisions, written once at the request's edge. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;
  constructor(code: number, reason: string, message: string, details?: StatusDetails, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }
}

export const statusOf = (e: ApiError): JsonObject => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message: e.message,
  reason: e.reason,
  ...(e.details === undefined ? {} : { details: e.details }),
  code: e.code,
});

export type ResourceName = { readonly group: string; readonly resource: string };

/** "pods" or "deployments.apps", as Kubernetes' messages name a resource. */
export const qualified = (r: ResourceName): string => (r.group === "" ? r.resource : `${r.resource}.${r.group}`);

const details = (r: ResourceName, name: string): StatusDetails => ({
  name,
  ...(r.group === "" ? {} : { group: r.group }),
  kind: r.resource,
});

export const notFound = (r: ResourceName, name: string): ApiError =>
  new ApiError(404, "NotFound", `${qualified(r)} "${name}" not found`, details(r, name));

export const noSuchResource = (): ApiError => new ApiError(404, "NotFound", "the server could not find the requested resource", {});

export const alreadyExists = (r: ResourceName, name: string): ApiError =>
  new ApiError(409, "AlreadyExists", `${qualified(r)} "${name}" already exists`, details(r, name));

export const conflict = (r: ResourceName, name: string, why: string): ApiError =>
  new ApiError(409, "Conflict", `Operation cannot be fulfilled on ${qualified(r)} "${name}": ${why}`, details(r, name));

export const MODIFIED = "the object has been modified; please apply your changes to the latest version and try again";

export const forbidden = (r: ResourceName, name: string | undefined, why: string): ApiError =>
  new ApiError(
    403,
    "Forbidden",
    name === undefined || name === "" ? `${qualified(r)} is forbidden: ${why}` : `${qualified(r)} "${name}" is forbidden: ${why}`,
    details(r, name ?? ""),
  );

export const badRequest = (message: string): ApiError => new ApiError(400, "BadRequest", message);

export const unauthorized = (): ApiError => new ApiError(401, "Unauthorized", "Unauthorized");

export const methodNotAllowed = (): ApiError =>
  new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});

export const expired = (message: string): ApiError => new ApiError(410, "Expired", message);

export const internal = (message: string, cause?: unknown): ApiError =>
  new ApiError(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ reason: "InternalError", message }] }, { cause });

/** 422 with one cause per mistake; the message lists them as Kubernetes does. */
export const invalid = (kind: { readonly group: string; readonly kind: string }, name: string, causes: readonly Cause[]): ApiError => {
  const text = causes.map((c) => (c.field === undefined || c.field === "" ? c.message : `${c.field}: ${c.message}`));
  const head = `${kind.group === "" ? kind.kind : `${kind.kind}.${kind.group}`} "${name}" is invalid`;
  return new ApiError(422, "Invalid", `${head}: ${text.length === 1 ? text[0] : `[${text.join(", ")}]`}`, {
    name,
    ...(kind.group === "" ? {} : { group: kind.group }),
    kind: kind.kind,
    causes,
  });
};

const shown = (v: unknown): string => (typeof v === "string" ? JSON.stringify(v) : typeof v === "object" ? JSON.stringify(v) : String(v));

export const required = (field: string, detail = ""): Cause => ({
  reason: "FieldValueRequired",
  message: detail === "" ? "Required value" : `Required value: ${detail}`,
  field,
});

export const badValue = (field: string, value: unknown, detail: string): Cause => ({
  reason: "FieldValueInvalid",
  message: `Invalid value: ${shown(value)}: ${detail}`,
  field,
});

export const notSupported = (field: string, value: unknown, supported: readonly string[]): Cause => ({
  reason: "FieldValueNotSupported",
  message: `Unsupported value: ${shown(value)}: supported values: ${supported.map((s) => JSON.stringify(s)).join(", ")}`,
  field,
});

export const duplicate = (field: string, value: unknown): Cause => ({
  reason: "FieldValueDuplicate",
  message: `Duplicate value: ${shown(value)}`,
  field,
});

export const forbiddenField = (field: string, detail: string): Cause => ({
  reason: "FieldValueForbidden",
  message: `Forbidden: ${detail}`,
  field,
});
