// How does the allocator give back what the process has freed?

import { trySyscall } from "./client.ts";

/** malloc_trim(3): returns free pages of every arena to the kernel. */
export const trimMalloc = (): void => void trySyscall("malloc_trim", 0);
