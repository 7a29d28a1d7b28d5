// A pod that does nothing: somewhere to send requests from.
process.stdout.write("idle\n");
const beat = setInterval(() => undefined, 3_600_000);
process.once("SIGTERM", () => clearInterval(beat));
