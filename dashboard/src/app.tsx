/** The page: top bar, connection banner, and the view that the address names. */
import "./app.css";
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { type Project, type Whoami, paths } from "./api";
import { connection, retryNow, session, signOut } from "./http";
import { useLive, useNow } from "./live";
import { SignIn } from "./pages/sign-in";
import { Studies } from "./pages/studies";
import { StudyView } from "./pages/study";
import { Loading, Logo, ProblemBox } from "./parts/basics";
import { go, linkTo, route } from "./route";
import { useStore } from "./store";

const SLOW_MS = 60_000;

function ConnectionBanner() {
  const state = useStore(connection);
  const now = useNow(state.lost ? 500 : null);
  const seconds = Math.max(0, Math.ceil((state.retryAt - now) / 1000));
  return (
    <div class="banner-host" role="status" aria-live="polite">
      {state.lost && (
        <div class="banner">
          <strong>Connection lost.</strong> {state.detail} What you see may be out of date.{" "}
          <span aria-hidden="true">{state.trying ? "Trying…" : `Next try in ${seconds} s.`}</span>
          <button type="button" disabled={state.trying} onClick={retryNow}>Retry now</button>
        </div>
      )}
    </div>
  );
}

function TopBar({ project, projects, study }: { project: string; projects: string[]; study: string | null }) {
  return (
    <header class="top">
      <a class="brand" href={linkTo(project)} aria-label="Assay: all studies"><Logo /><span>Assay</span></a>
      <nav aria-label="Where you are">
        {projects.length > 1 ? (
          <select aria-label="Project" value={project} onChange={(event) => go(linkTo(event.currentTarget.value))}>
            {projects.map((name) => <option key={name} value={name}>{name}</option>)}
          </select>
        ) : <a href={linkTo(project)}>{project}</a>}
        {study && <><span class="slash" aria-hidden="true">/</span><span class="here" aria-current="page">{study}</span></>}
      </nav>
      <button type="button" class="quiet" onClick={() => signOut(null)}>Sign out</button>
    </header>
  );
}

function SignedIn() {
  const where = useStore(route);
  const who = useLive<Whoami>(paths.whoami, { hold: false, gapMs: SLOW_MS });
  const listed = useLive<{ projects: Project[] }>(paths.projects, { hold: false, gapMs: SLOW_MS });
  if (!who.data && !who.error) return <main id="main" class="page"><Loading what="the dashboard" /></main>;

  const granted = (who.data?.projects ?? []).filter((name) => name !== "*");
  const names = [...new Set([...granted, ...(listed.data?.projects ?? []).map((p) => p.name)])].sort();
  const project = where.project ?? (names.includes("default") || names.length === 0 ? "default" : names[0]!);
  if (!names.includes(project)) names.push(project);
  const canEdit = who.data !== null && who.data.role !== "viewer";
  return (
    <>
      <TopBar project={project} projects={names} study={where.study} />
      {who.error && <div class="page"><ProblemBox problem={who.error.problem} /></div>}
      {where.study
        ? <StudyView key={`${project}/${where.study}`} project={project} name={where.study} trial={where.trial} canEdit={canEdit} />
        : <Studies project={project} canEdit={canEdit} />}
    </>
  );
}

function App() {
  const { token } = useStore(session);
  useEffect(() => {
    if (!token) document.title = "Sign in – Assay";
  }, [token]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        const main = document.getElementById("main");
        main?.setAttribute("tabindex", "-1");
        main?.focus();
      }}>Skip to the content</a>
      <ConnectionBanner />
      {token ? <SignedIn key={token} /> : <SignIn />}
    </>
  );
}

render(<App />, document.getElementById("app")!);
