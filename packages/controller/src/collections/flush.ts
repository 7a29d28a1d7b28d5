// In which order does a batch of edits run through the graph, and when do listeners hear of it?

import type { Change, Graph, GraphError, Vertex } from "./core.ts";

/**
 * A graph without collections. Vertices are made after all that they read, so the order of making is a topological order:
 * one pass over the touched vertices settles each at most once, with every input already settled (no glitches).
 */
export const createGraph = (onError: (error: GraphError) => void): Graph => {
  const vertices: Vertex[] = [];
  const touched = new Set<number>();
  let depth = 0;
  let settling = false;

  const settle = (): void => {
    if (settling) return; // a listener edited the graph: the loop below takes it up when all have heard of this batch
    settling = true;
    try {
      while (touched.size > 0) {
        const heard: { vertex: Vertex; changes: readonly Change<unknown>[] }[] = [];
        while (touched.size > 0) {
          const order = Math.min(...touched);
          touched.delete(order);
          const vertex = vertices[order];
          if (vertex === undefined) continue;
          const changes = vertex.settle();
          if (changes.length === 0) continue; // equality stopped the wave
          vertex.changed(changes);
          heard.push({ vertex, changes });
        }
        for (const { vertex, changes } of heard) vertex.notify(changes);
      }
    } finally {
      settling = false;
    }
  };

  return {
    vertices,
    nextOrder: () => vertices.length,
    add: (vertex) => {
      if (vertex.order !== vertices.length) throw new Error(`${vertex.name} was made out of order`);
      vertices.push(vertex as Vertex);
    },
    touch: (order) => {
      touched.add(order);
      if (depth === 0 && !settling) settle();
    },
    batch: (edit) => {
      depth++;
      try {
        edit();
      } finally {
        depth--;
        if (depth === 0) settle();
      }
    },
    report: onError,
  };
};
