import { useEffect, useState } from "preact/hooks";

/**
 * What the server says about one subject, the newest by event name.
 * @template T
 * @param {string} query
 * @param {string} event
 * @returns {{ data: T | null | undefined, live: boolean }} data is undefined until it came, null if there is no such thing
 */
export function useSubject(query, event) {
  const [state, setState] = useState(
    /** @type {{ query: string, data: T | null | undefined, live: boolean }} */ ({
      query,
      data: undefined,
      live: true,
    }),
  );
  useEffect(() => {
    setState({ query, data: undefined, live: true });
    return listen(query, {
      [event]: (data) => setState({ query, data: /** @type {T | null} */ (data), live: true }),
      error: () => setState((before) => ({ ...before, live: false })),
    });
  }, [query, event]);
  return state.query === query ? state : { data: undefined, live: true };
}

/**
 * @param {string} query
 * @param {Record<string, (data: unknown) => void>} handlers by event; `error` where the server is gone
 * @returns {() => void} ends it
 */
export function listen(query, handlers) {
  let source = open();
  let timer = 0;
  function open() {
    const stream = new EventSource(`/events?${query}`);
    for (const [event, take] of Object.entries(handlers)) {
      if (event !== "error") stream.addEventListener(event, (message) => take(JSON.parse(message.data)));
    }
    stream.addEventListener("error", () => {
      handlers.error?.(undefined);
      // A refusal ends the stream for good: it is tried anew, and a token may be asked for.
      if (stream.readyState === EventSource.CLOSED) timer = window.setTimeout(retry, 2000);
    });
    return stream;
  }
  function retry() {
    source = open();
  }
  return () => {
    window.clearTimeout(timer);
    source.close();
  };
}

/**
 * @param {"device" | "rollout"} on
 * @param {string} id
 * @param {string} action
 * @returns {Promise<string>} what to tell
 */
export async function act(on, id, action) {
  try {
    const response = await fetch("/actions", { method: "POST", body: JSON.stringify({ on, id, action }) });
    const { done, error } = await response.json();
    return response.ok ? `done: ${done}` : `not done: ${error}`;
  } catch (error) {
    return `not done: ${error instanceof Error ? error.message : error}`;
  }
}
