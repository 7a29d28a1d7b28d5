// Which callers of a pod are asked to go elsewhere?

import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import type { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { canGoElsewhere, GO_ELSEWHERE } from "@ambit/shared/hbone/elsewhere.ts";
import type { TunnelHeaders } from "@ambit/shared/hbone/types.ts";

/** Failures of this pod, in which nothing has reached the application. What a policy decided is the same elsewhere. */
const OURS: ReadonlySet<MeshErrorCode> = new Set(["CONNECT", "CONNECT_TIMEOUT", "DRAINED", "ELSEWHERE", "UNKNOWN_SOURCE"]);

/**
 * True: the caller is refused before the application is asked. A pod that has been told to end takes no more from those who have
 * somewhere else to go; whoever has not (who asked for this very pod, or knows no other, or is not one of ours) is served to the last.
 */
export const sendsElsewhere = (pod: { readonly dying: boolean }, headers: TunnelHeaders): boolean => pod.dying && canGoElsewhere(headers);

/** The headers of a refusal: whether it is safe to take the request to another endpoint. */
export const refusalHeaders = (error: Pick<MeshError, "code">): TunnelHeaders => (OURS.has(error.code) ? GO_ELSEWHERE : {});
