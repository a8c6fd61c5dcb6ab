/** Turns what a program wrote to its terminal into lines to read. Pure. */

const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

/** Takes out terminal codes; a progress line that rewrote itself keeps only its last state. */
export function readable(text: string): string {
  return text.replace(ESCAPES, "").replace(/\r+\n/g, "\n").replace(/[^\n]*\r(?=[^\n])/g, "").replace(/\r/g, "");
}

/** The last `lines` lines of a text. */
export function lastLines(text: string, lines: number): string {
  let at = text.endsWith("\n") ? text.length - 1 : text.length;
  for (let i = 0; i < lines; i++) {
    at = text.lastIndexOf("\n", at - 1);
    if (at < 0) return text;
  }
  return text.slice(at + 1);
}
