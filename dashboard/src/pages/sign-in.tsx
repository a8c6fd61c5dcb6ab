/** Asks for a token and tries it before it is kept. */
import { useState } from "preact/hooks";
import { type Problem, type Whoami, paths } from "../api";
import { get, problemFrom, session, signIn } from "../http";
import { Logo, ProblemBox } from "../parts/basics";
import { useStore } from "../store";

export function SignIn() {
  const { notice } = useStore(session);
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  const submit = async (event: Event) => {
    event.preventDefault();
    const text = token.trim();
    if (!text) return;
    setBusy(true);
    setProblem(null);
    try {
      await get<Whoami>(paths.whoami, { token: text });
      signIn(text);
    } catch (error) {
      const told = problemFrom(error);
      setProblem(told.status !== 401 ? told : {
        ...told,
        title: "That token is not valid here",
        detail: "Check that it was copied whole and that it belongs to this server.",
      });
    } finally {
      setBusy(false);
    }
  };

  return (
    <main class="sign-in" id="main">
      <form class="card" onSubmit={submit}>
        <div class="brand-large"><Logo /> Assay</div>
        <h1>Sign in</h1>
        {notice && !problem && <p class="notice" role="status">{notice}</p>}
        {problem && <ProblemBox problem={problem} />}
        <label for="token">Access token</label>
        <input id="token" name="token" type="password" autocomplete="off" spellcheck={false} autofocus required
          value={token} onInput={(event) => setToken(event.currentTarget.value)} />
        <button class="primary" type="submit" disabled={busy || token.trim() === ""}>{busy ? "Checking…" : "Sign in"}</button>
        <p class="hint">
          The daemon keeps its first token in the file <code>token</code> of its data directory. The token stays in
          this tab only and is forgotten when you close it.
        </p>
      </form>
    </main>
  );
}
