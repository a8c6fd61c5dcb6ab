/**
 * All trials of one study, kept fresh at little cost. The list is read page by page in the order
 * of the numbers; a full page whose trials are all final can't change any more and is never asked
 * for again, the others are asked for with their ETag. So 10,000 trials cost ten requests once and
 * then one or two a round.
 */
import { FINAL_TRIAL, type Trial, type TrialPage, paths } from "./api";
import { toNumber, timeOf } from "./format";
import { request } from "./http";
import type { Row } from "./progress";

const PAGE_SIZE = 1000;
export type HistoryTrial = Row & { trial: Trial };

interface Page {
  token: string | null;
  etag: string | null;
  rows: HistoryTrial[];
  next: string | null;
  settled: boolean;
}

export class TrialHistory {
  #project: string;
  #study: string;
  #fields: string;
  #pages: Page[] = [];

  constructor(project: string, study: string, fields: string) {
    this.#project = project;
    this.#study = study;
    this.#fields = fields;
  }

  /** Brings the pages up to date; calls onRows whenever there is more to show. */
  async refresh(signal: AbortSignal, onRows: (rows: HistoryTrial[]) => void): Promise<void> {
    let changed = false;
    for (let i = 0; !signal.aborted; i++) {
      if (i > 0 && this.#pages[i - 1]!.next === null) break;
      const token: string | null = i === 0 ? null : this.#pages[i - 1]!.next;
      let page = this.#pages[i];
      if (!page || page.token !== token) {
        page = { token, etag: null, rows: [], next: null, settled: false };
        this.#pages[i] = page;
        this.#pages.length = i + 1;
      }
      if (page.settled) continue;
      const path = paths.trials(this.#project, this.#study,
        { sort: "number", page_size: PAGE_SIZE, fields: this.#fields, page_token: token });
      const answer = await request<TrialPage>("GET", path, { etag: page.etag, signal });
      if (answer.status === 304) continue;
      page.etag = answer.etag;
      page.rows = answer.data.trials.map(toRow);
      page.next = answer.data.next_page_token;
      page.settled = page.next !== null && page.rows.every((row) => FINAL_TRIAL.has(row.state));
      changed = true;
      if (i % 4 === 0 && page.next !== null) onRows(this.rows());
    }
    if (changed && !signal.aborted) onRows(this.rows());
  }

  rows(): HistoryTrial[] {
    return this.#pages.flatMap((page) => page.rows);
  }
}

function toRow(trial: Trial): HistoryTrial {
  return {
    number: trial.number,
    state: trial.state,
    value: toNumber(trial.value),
    finishedMs: timeOf(trial.finished_at),
    feasible: true,
    trial,
  };
}
