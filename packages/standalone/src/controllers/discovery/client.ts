// Which resources does this API server serve right now?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { isNotFound } from "@ambit/shared/kube/error.ts";
import type { Resource } from "@ambit/shared/kube/resources.ts";
import { type ApiGroupList, type ApiResourceList, groupVersionsOf, resourcesOf } from "./parse.ts";

/** Throws when the server cannot be asked. A group version that vanishes meanwhile (a CRD deleted) is left out. */
export const discover = async (client: KubeClient, signal: AbortSignal): Promise<Resource[]> => {
  const read = <T>(path: string): Promise<T> => client.raw.connection.request({ method: "GET", path, signal }) as Promise<T>;
  const groups = await read<ApiGroupList>("/apis");
  const paths = ["/api/v1", ...groupVersionsOf(groups).map((gv) => `/apis/${gv}`)];
  const lists = await Promise.all(
    paths.map((path) =>
      read<ApiResourceList>(path).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      }),
    ),
  );
  return resourcesOf(lists.filter((l) => l !== undefined));
};
