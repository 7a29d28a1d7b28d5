// Which failures of `ambit up` are told in one sentence, without a stack?

export class UpError extends Error {
  override readonly name = "UpError";
}
