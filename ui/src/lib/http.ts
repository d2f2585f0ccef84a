// Requests to who serves this page, and its refusals as errors that can be shown.
import type { Problem } from "./types";

/** A refusal or failure, in the agent's words; `offline` when the agent did not answer at all. */
export class ApiError extends Error implements Problem {
  readonly code: string;
  readonly hint: string | null;
  readonly retryable: boolean;

  constructor(problem: Problem) {
    super(problem.message);
    this.name = "ApiError";
    this.code = problem.code;
    this.hint = problem.hint;
    this.retryable = problem.retryable;
  }
}

/** Turns anything thrown by a call into a problem that can be shown. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof ApiError) return thrown;
  return { code: "internal", message: thrown instanceof Error ? thrown.message : String(thrown), hint: null, retryable: false };
}

/** Who answers, in the words of an error. */
export interface Host {
  /** Its name at the beginning of a sentence. */
  name: string;
  /** What to look at when it does not answer. */
  offline: string;
}

/** A request, with who asks and what it says. */
export interface Request {
  method: string;
  url: string;
  bearer: string | null;
  body?: unknown;
  signal?: AbortSignal | undefined;
}

/** Returns the answer, or throws an {@link ApiError} when there is none or it is a refusal. */
export async function request(host: Host, { method, url, bearer, body, signal }: Request): Promise<Response> {
  const headers: Record<string, string> = {};
  if (bearer !== null) headers.authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      headers,
      cache: "no-store",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (thrown) {
    if (signal?.aborted) throw thrown;
    throw new ApiError({ code: "offline", message: `${host.name} is not answering.`, hint: host.offline, retryable: true });
  }
  if (response.ok) return response;
  const fallback: Problem = {
    code: response.status === 401 ? "unauthorized" : "internal",
    message: `${host.name} answered ${response.status}.`,
    hint: null,
    retryable: response.status >= 500,
  };
  const said = (await response.json().catch(() => null)) as { error?: Partial<Problem> } | null;
  throw new ApiError({ ...fallback, ...said?.error });
}
