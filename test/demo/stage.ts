// How does the demo speak: steps, the commands as typed, their effect, and a check that holds or fails the demo?
import { styleText } from "node:util";

export class StepFailed extends Error {
  override readonly name = "StepFailed";
}

export type Stage = {
  title(text: string): void;
  /** A numbered step; what it throws fails the demo. */
  step(title: string, act: () => Promise<void>): Promise<void>;
  /** A command as a person would type it. */
  command(text: string): void;
  /** Lines of a program's output that matter. */
  output(text: string): void;
  /** A claim: shown with a tick when it holds, else the step fails with the detail. */
  check(holds: boolean, claim: string, detail?: string): void;
  say(text: string): void;
};

export const createStage = (write: (text: string) => void): Stage => {
  let steps = 0;
  const line = (text: string): void => write(`${text}\n`);
  return {
    title: (text) => line(styleText("bold", text)),
    step: async (title, act) => {
      steps++;
      line(`\n${styleText(["bold", "cyan"], `${steps}. ${title}`)}`);
      await act();
    },
    command: (text) =>
      line(
        text
          .split("\n")
          .map((l, i) => (i === 0 ? `   ${styleText("bold", `$ ${l}`)}` : styleText("dim", `     ${l}`)))
          .join("\n"),
      ),
    output: (text) =>
      line(
        text
          .trimEnd()
          .split("\n")
          .map((l) => `     ${l}`)
          .join("\n"),
      ),
    check: (holds, claim, detail = "") => {
      line(
        holds ? `   ${styleText("green", "✓")} ${claim}` : `   ${styleText("red", "✗")} ${claim}${detail === "" ? "" : `\n     ${detail}`}`,
      );
      if (!holds) throw new StepFailed(claim);
    },
    say: (text) => line(`   ${text}`),
  };
};
