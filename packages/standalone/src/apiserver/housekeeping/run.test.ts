// Do old events go, and only they?

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { parseTime } from "../runtime/time.ts";
import { openLog } from "../storage/log.ts";
import { openStore } from "../storage/store.ts";
import { expireEvents } from "./run.ts";

test("an event goes an hour after it was last seen", async () => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-expire-"));
  const store = openStore(openLog(join(dir, "ambit.db")), { history: 100 });
  const event = (name: string, times: { lastTimestamp?: string; eventTime?: string }) =>
    store.stage("/events", `ns/${name}`, {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace: "ns", creationTimestamp: "2026-01-01T00:00:00Z" },
      ...times,
    }).durable;
  await Promise.all([
    event("old", { lastTimestamp: "2026-01-01T00:10:00Z" }),
    event("renewed", { lastTimestamp: "2026-01-01T01:30:00Z" }),
    event("series", { eventTime: "2026-01-01T01:30:00.000000Z" }),
  ]);
  const world = { ...realWorld(), now: () => parseTime("2026-01-01T02:00:00Z") };
  assert.equal(await expireEvents({ store, world }), 1);
  assert.deepEqual(
    store.committed.list("/events").map((e) => e.metadata.name),
    ["renewed", "series"],
  );
  store.close();
  rmSync(dir, { recursive: true });
});
