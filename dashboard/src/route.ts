/**
 * The address after the "#": "/" or "/PROJECT" lists studies, "/PROJECT/STUDY" shows one,
 * "/PROJECT/STUDY/17" one of its trials. "#token=…" signs in and is taken out of the address at
 * once; "&study=PROJECT/STUDY" after it opens that study.
 */
import { signIn } from "./http";
import { Store } from "./store";

export interface Route { project: string | null; study: string | null; trial: number | null }

export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decode);
  const number = parts[2] !== undefined && /^\d+$/.test(parts[2]) ? Number(parts[2]) : null;
  return { project: parts[0] ?? null, study: parts[1] ?? null, trial: number };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function linkTo(project?: string | null, study?: string | null, trial?: number | null): string {
  let link = "#/";
  if (project) link += encodeURIComponent(project);
  if (project && study) link += `/${encodeURIComponent(study)}`;
  if (project && study && trial !== null && trial !== undefined) link += `/${trial}`;
  return link;
}

/** The token that a link brought along, and where it leads; null for an ordinary address. */
export function tokenIn(hash: string): { token: string; next: string } | null {
  if (!hash.startsWith("#token=")) return null;
  const fields = new URLSearchParams(hash.slice(1));
  const token = fields.get("token") ?? "";
  const study = fields.get("study");
  return { token, next: study ? `#/${study}` : "#/" };
}

function takeToken(): void {
  const found = tokenIn(location.hash);
  if (!found) return;
  history.replaceState(null, "", location.pathname + location.search + found.next);
  if (found.token) signIn(found.token);
}

takeToken();
export const route = new Store<Route>(parseRoute(location.hash));
addEventListener("hashchange", () => {
  takeToken();
  route.set(parseRoute(location.hash));
});

export function go(link: string): void {
  location.hash = link;
}
