/**
 * The fetch layer: the token, the state of the connection, one request, and a poll that lasts.
 * A request ends in one of three ways: an answer, an ApiError (the server said no, in a sentence),
 * or a LostError (no answer came). Losing the connection is the whole page's affair, so it is kept
 * here once: every poll waits until a probe has found the server again, then goes on by itself.
 */
import { type Problem, paths, withQuery } from "./api";
import { Store } from "./store";

const TOKEN_KEY = "assay.token";
const REQUEST_TIMEOUT_MS = 20_000;
const HOLD_SECONDS = 30;
const BACKOFF_MS = [1_000, 2_000, 4_000, 8_000, 15_000];
const HIDDEN_PERIOD_MS = 15_000;

export interface Session { token: string | null; notice: string | null }

function readToken(): string | null {
  try {
    return sessionStorage.getItem(TOKEN_KEY);
  } catch {
    return null; /* storage switched off: the token lives as long as the page */
  }
}

export const session = new Store<Session>({ token: readToken(), notice: null });

export function signIn(token: string): void {
  try {
    sessionStorage.setItem(TOKEN_KEY, token);
  } catch { /* as above */ }
  session.set({ token, notice: null });
}

export function signOut(notice: string | null): void {
  try {
    sessionStorage.removeItem(TOKEN_KEY);
  } catch { /* as above */ }
  session.set({ token: null, notice });
}

/** The server's refusal: its problem document, or one made from the status if it sent none. */
export class ApiError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
  }
}

/** No answer came. */
export class LostError extends Error {}

/** What to tell somebody whose action failed; throws what is neither a refusal nor a loss. */
export function problemFrom(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  if (error instanceof LostError) {
    return {
      title: "No answer came", status: 0, code: "lost",
      detail: "The server may or may not have done it. Look again when the connection is back; it is safe to repeat.",
    };
  }
  throw error;
}

export interface Connection {
  lost: boolean;
  /** Why, as a sentence. */
  detail: string;
  /** When the next try is due, ms since the epoch. */
  retryAt: number;
  trying: boolean;
}

const UP: Connection = { lost: false, detail: "", retryAt: 0, trying: false };
export const connection = new Store<Connection>(UP);
let failures = 0;
let probeTimer: ReturnType<typeof setTimeout> | undefined;

function lose(detail: string): void {
  if (connection.get().lost && !connection.get().trying) return;
  const wait = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)]!;
  failures += 1;
  connection.set({ lost: true, detail, retryAt: Date.now() + wait, trying: false });
  clearTimeout(probeTimer);
  probeTimer = setTimeout(probe, wait);
}

function found(): void {
  failures = 0;
  if (connection.get().lost) connection.set(UP);
}

async function probe(): Promise<void> {
  clearTimeout(probeTimer);
  connection.set({ ...connection.get(), trying: true });
  try {
    await request("GET", paths.whoami);
  } catch {
    /* request() has told the connection what it saw */
  }
}

/** Tries at once instead of at the end of the wait. */
export function retryNow(): void {
  if (connection.get().lost && !connection.get().trying) void probe();
}

export interface Answer<T> { status: number; etag: string | null; data: T }

export interface RequestOptions {
  body?: unknown;
  /** A body that is not JSON: its text and its type. */
  raw?: { text: string; type: string };
  etag?: string | null;
  signal?: AbortSignal;
  /** How long the server may hold the answer. */
  holdSeconds?: number;
  /** Whose token; the session's if left out. */
  token?: string;
  idempotencyKey?: string;
}

/** Sends one request and checks the answer's status; the body is not read yet. */
async function send(method: string, path: string, options: RequestOptions): Promise<Response> {
  const mine = options.token === undefined;
  const token = options.token ?? session.get().token;
  const headers: Record<string, string> = {};
  if (token) headers["Authorization"] = `Bearer ${token}`;
  if (options.etag) headers["If-None-Match"] = options.etag;
  if (options.idempotencyKey) headers["Idempotency-Key"] = options.idempotencyKey;
  let body: string | undefined;
  if (options.raw) {
    headers["Content-Type"] = options.raw.type;
    body = options.raw.text;
  } else if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(options.body);
  }

  let response: Response;
  try {
    response = await fetch(path, {
      method, headers, cache: "no-store", credentials: "omit",
      ...(body === undefined ? {} : { body }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  } catch (cause) {
    if (options.signal?.aborted && options.signal.reason !== TIMED_OUT) throw cause;
    lose("The server can’t be reached.");
    throw new LostError("no answer");
  }

  if (response.status === 503) {
    const problem = await problemOf(response);
    lose(problem.detail ?? "The server is up but not ready.");
    throw new LostError(problem.title);
  }
  found();
  if (response.ok || response.status === 304) return response;

  const problem = await problemOf(response);
  if (response.status === 401 && mine && session.get().token === token)
    signOut("The server no longer accepts this token. Sign in again with a valid one.");
  throw new ApiError(problem);
}

async function problemOf(response: Response): Promise<Problem> {
  const made: Problem = {
    title: `The server answered ${response.status}`,
    status: response.status,
    code: "unknown",
  };
  try {
    const sent = (await response.json()) as Partial<Problem>;
    return { ...made, ...sent, status: response.status };
  } catch {
    return made;
  }
}

const TIMED_OUT = new Error("timed out");

/** Asks and reads the whole answer; data is null for 204 and 304. */
export async function request<T>(method: string, path: string, options: RequestOptions = {}): Promise<Answer<T>> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(TIMED_OUT), REQUEST_TIMEOUT_MS + (options.holdSeconds ?? 0) * 1000);
  const forward = () => limit.abort(options.signal?.reason);
  if (options.signal?.aborted) forward();
  options.signal?.addEventListener("abort", forward);
  try {
    const response = await send(method, path, { ...options, signal: limit.signal });
    const etag = response.headers.get("ETag");
    if (response.status === 204 || response.status === 304)
      return { status: response.status, etag, data: null as T };
    try {
      return { status: response.status, etag, data: (await response.json()) as T };
    } catch (cause) {
      if (options.signal?.aborted) throw cause;
      lose("The server broke off in the middle of an answer.");
      throw new LostError("answer cut short");
    }
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", forward);
  }
}

export async function get<T>(path: string, options?: RequestOptions): Promise<T> {
  return (await request<T>("GET", path, options)).data;
}

/** Reads a text answer as it comes; returns when the server ends it. */
export async function stream(path: string, signal: AbortSignal, onText: (text: string) => void): Promise<void> {
  const response = await send("GET", path, { signal });
  if (!response.body) {
    onText(await response.text());
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    let chunk: ReadableStreamReadResult<string>;
    try {
      chunk = await reader.read();
    } catch (cause) {
      if (signal.aborted) throw cause;
      lose("The server can’t be reached.");
      throw new LostError("stream cut short");
    }
    if (chunk.done) return;
    onText(chunk.value);
  }
}

/** Resolves after ms, or at once when the signal fires. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/** Resolves when the store holds a value that passes, or when the signal fires. */
function until<T>(store: Store<T>, passes: (value: T) => boolean, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted || passes(store.get())) return resolve();
    const end = () => {
      unsubscribe();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const unsubscribe = store.subscribe((value) => passes(value) && end());
    signal.addEventListener("abort", end);
  });
}

export const whenConnected = (signal: AbortSignal) => until(connection, (c) => !c.lost, signal);

/** Whether the tab is in front: polls hold no connection in a tab that nobody sees. */
const visible = new Store<boolean>(!document.hidden);
document.addEventListener("visibilitychange", () => visible.set(!document.hidden));

export interface PollOptions<T> {
  signal: AbortSignal;
  /** Let the server hold each request until something changes; else ask again every gapMs. */
  hold: boolean;
  /** The shortest time between two requests. */
  gapMs: number;
  onData: (data: T) => void;
  onError: (error: ApiError) => void;
}

/**
 * Keeps one resource fresh until the signal fires. With hold, exactly one request is open at any
 * time. Browsers allow six connections to a server over all tabs, so a hidden tab lets go of its
 * own and asks now and then instead.
 */
export async function poll<T>(path: string, options: PollOptions<T>): Promise<void> {
  const { signal, gapMs } = options;
  let etag: string | null = null;
  let idle = gapMs;
  while (!signal.aborted) {
    await whenConnected(signal);
    if (signal.aborted) return;
    const began = Date.now();
    const holding = options.hold && etag !== null && visible.get();
    const round = new AbortController();
    const end = () => round.abort();
    signal.addEventListener("abort", end);
    const unsubscribe = visible.subscribe((shown) => !shown && holding && end());
    try {
      const answer: Answer<T> = await request<T>("GET", holding ? withQuery(path, { wait: `${HOLD_SECONDS}s` }) : path,
        { etag, signal: round.signal, ...(holding ? { holdSeconds: HOLD_SECONDS } : {}) });
      if (signal.aborted) return;
      if (answer.status !== 304) {
        etag = answer.etag;
        idle = gapMs;
        options.onData(answer.data);
      } else if (Date.now() - began < 1_000) {
        idle = Math.min(idle * 2, HIDDEN_PERIOD_MS); /* a server that doesn't hold must not be hammered */
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError) {
        options.onError(error);
        idle = 5_000;
        etag = null;
      } else if (!(error instanceof LostError) && !round.signal.aborted) {
        throw error;
      }
    } finally {
      unsubscribe();
      signal.removeEventListener("abort", end);
    }
    const pause = Math.max(0, began + idle - Date.now());
    if (visible.get()) await sleep(pause, signal);
    else {
      const shown = new AbortController();
      const wake = () => shown.abort();
      signal.addEventListener("abort", wake);
      const off = visible.subscribe((now) => now && wake());
      await sleep(HIDDEN_PERIOD_MS, shown.signal);
      off();
      signal.removeEventListener("abort", wake);
    }
  }
}
