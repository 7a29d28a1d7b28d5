// Is a CustomResourceDefinition acceptable, and what does one of its versions say?

import type { Cause, JsonObject, JsonSchema } from "./types.ts";

export type PrinterColumn = {
  readonly name: string;
  readonly type: string;
  readonly format?: string | undefined;
  readonly description?: string | undefined;
  readonly priority?: number | undefined;
  readonly jsonPath: string;
};

export type ScalePaths = {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string | undefined;
};

/** Causes for refusing a CRD; empty when it is acceptable. */
export const checkCrd = (_crd: JsonObject): readonly Cause[] => [];
/** The schema of one version, with apiVersion, kind and metadata added; undefined when that version has none. */
export const crdSchema = (_crd: JsonObject, _version: string): JsonSchema | undefined => undefined;
export const printerColumns = (_crd: JsonObject, _version: string): readonly PrinterColumn[] => [];
export const scalePaths = (_crd: JsonObject, _version: string): ScalePaths | undefined => undefined;
export const hasStatusSubresource = (_crd: JsonObject, _version: string): boolean => false;
