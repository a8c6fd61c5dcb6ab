/** Preact hooks over the polls. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, LostError, poll, sleep, whenConnected } from "./http";

export interface Live<T> { data: T | null; error: ApiError | null; reload: () => void }

/** Keeps one resource fresh while the component is shown; path null asks for nothing. */
export function useLive<T>(path: string | null, options: { hold?: boolean; gapMs?: number } = {}): Live<T> {
  const { hold = true, gapMs = 700 } = options;
  const [state, setState] = useState<{ path: string | null; data: T | null; error: ApiError | null }>(
    { path, data: null, error: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    setState((old) => (old.path === path ? old : { path, data: null, error: null }));
    if (path === null) return;
    const end = new AbortController();
    void poll<T>(path, {
      signal: end.signal, hold, gapMs,
      onData: (data) => setState({ path, data, error: null }),
      onError: (error) => setState((old) => ({ path, data: old.path === path ? old.data : null, error })),
    });
    return () => end.abort();
  }, [path, hold, gapMs, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  return state.path === path ? { data: state.data, error: state.error, reload } : { data: null, error: null, reload };
}

/**
 * Runs `work` at the start, and again when `pulse` changes or, with everyMs, when so much time has
 * passed; never two at once, and no sooner than five times its own length after it ended, so that
 * a heavy question is asked less often than a light one.
 */
export function usePulse(
  work: (signal: AbortSignal) => Promise<void>,
  keys: readonly unknown[],
  pulse: unknown,
  everyMs: number | null,
): void {
  const workRef = useRef(work);
  workRef.current = work;
  const everyRef = useRef(everyMs);
  everyRef.current = everyMs;
  const wake = useRef<() => void>(() => {});
  const wanted = useRef(false);

  useEffect(() => {
    const end = new AbortController();
    void (async () => {
      while (!end.signal.aborted) {
        await whenConnected(end.signal);
        if (end.signal.aborted) return;
        wanted.current = false;
        const began = performance.now();
        try {
          await workRef.current(end.signal);
        } catch (error) {
          if (end.signal.aborted) return;
          if (error instanceof LostError) wanted.current = true;
          else if (!(error instanceof ApiError)) throw error;
        }
        await sleep(Math.min(15_000, Math.max(400, 5 * (performance.now() - began))), end.signal);
        if (wanted.current) continue;
        const nap = new AbortController();
        wake.current = () => nap.abort();
        const stop = () => nap.abort();
        end.signal.addEventListener("abort", stop);
        const every = everyRef.current;
        await sleep(every !== null && !document.hidden ? every : 3_600_000, nap.signal);
        wake.current = () => {};
        end.signal.removeEventListener("abort", stop);
      }
    })();
    return () => end.abort();
  }, keys);

  useEffect(() => {
    wanted.current = true;
    wake.current();
  }, [pulse, everyMs]);
}

/** The time, again every everyMs; null stands still. */
export function useNow(everyMs: number | null): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (everyMs === null) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** The value once it has stood still for ms. */
export function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const change = () => setMatches(list.matches);
    change();
    list.addEventListener("change", change);
    return () => list.removeEventListener("change", change);
  }, [query]);
  return matches;
}
