/** What happened, newest first. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type EventPage, type Study, type StudyEvent, type TrialState, paths } from "../api";
import { formatTime, timeOf, words } from "../format";
import { ApiError, request } from "../http";
import { usePulse } from "../live";
import { linkTo } from "../route";
import { Empty, Loading, ProblemBox, StateMark } from "./basics";

const KEPT = 1000;
const PAGE_SIZE = 1000;

export function Events({ study, active }: { study: Study; active: boolean }) {
  const { project, name } = study;
  const [events, setEvents] = useState<StudyEvent[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const feed = useRef<StudyEvent[]>([]);
  useEffect(() => {
    feed.current = [];
  }, [project, name]);

  usePulse(async (signal) => {
    try {
      if (feed.current.length === 0) {
        feed.current = await latest(project, name, signal);
      }
      for (;;) {
        const newest = feed.current[0]?.id ?? 0;
        const more = await request<EventPage>("GET", paths.events(project, name, { after: newest, page_size: PAGE_SIZE }), { signal });
        const fresh = more.data.events.filter((event) => event.id > newest).sort((a, b) => b.id - a.id);
        feed.current = [...fresh, ...feed.current].slice(0, KEPT);
        if (more.data.next_page_token === null || fresh.length === 0) break;
      }
      if (signal.aborted) return;
      setError(null);
      setEvents(feed.current);
    } catch (cause) {
      if (cause instanceof ApiError && !signal.aborted) setError(cause);
      throw cause;
    }
  }, [project, name], study, active ? 3_000 : null);

  const now = Date.now();
  if (error) return <ProblemBox problem={error.problem} />;
  if (!events) return <Loading what="events" />;
  if (events.length === 0) return <Empty title="Nothing has happened yet" />;
  return (
    <div class="card">
      <ol class="events" aria-label="Events, newest first">
        {events.map((event) => (
          <li key={event.id}>
            <time dateTime={event.time}>{formatTime(timeOf(event.time), now)}</time>
            <EventMark event={event} />
            {event.trial === null ? <i /> : <a href={linkTo(project, name, event.trial)}>trial {event.trial}</a>}
            <span>{event.message || words(event.type)}</span>
          </li>
        ))}
      </ol>
      {events.length === KEPT && <p class="hint">The latest {KEPT} events.</p>}
    </div>
  );
}

/** The newest events. A server that can't sort them is read from the first one on instead. */
async function latest(project: string, name: string, signal: AbortSignal): Promise<StudyEvent[]> {
  try {
    const page = await request<EventPage>("GET", paths.events(project, name, { sort: "-id", page_size: PAGE_SIZE }), { signal });
    return page.data.events;
  } catch (error) {
    if (error instanceof ApiError && error.problem.status === 400) return [];
    throw error;
  }
}

const KNOWN = new Set(["queued", "running", "paused", "stopping", "succeeded", "stopped", "infeasible", "failed", "cancelled"]);

function EventMark({ event }: { event: StudyEvent }) {
  const state = String(event.data?.["state"] ?? "");
  if (KNOWN.has(state)) return <StateMark state={state as TrialState} />;
  return <StateMark state={event.type === "trial_stop_decided" ? "stopped" : event.type === "attempt_started" ? "running" : "queued"} />;
}
