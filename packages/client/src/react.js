"use client";

// A trace in a component.

import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";

import { TraceStore } from "./trace_store.js";

/** @typedef {import("./trace_store.js").Snapshot} Snapshot */
/** @typedef {import("./trace_stream.d.ts").TraceStreamOptions} TraceStreamOptions */

/**
 * @typedef {object} OwnOptions
 * @property {boolean} [autoConnect] false: only `connect` does; true where it is not given
 */

/** @typedef {TraceStreamOptions & OwnOptions} UseTraceStreamOptions */

/**
 * @typedef {Pick<TraceStore, "connect" | "disconnect" | "clearEvents" | "sendPing" | "command" | "decide">} Actions
 */

/**
 * Watch a trace: from its first event on, unless `since` says otherwise, for as long as the component is mounted.
 *
 * @param {string | URL | null | undefined} trace its id, for `/ws/traces/{id}` of the page's host; or the address of its
 *   socket; nothing is watched where it is null
 * @param {UseTraceStreamOptions} [options]
 * @returns {Snapshot & Actions}
 */
export function useTraceStream(trace, { autoConnect = true, ticket, ...options } = {}) {
  const url = trace == null ? null : addressOf(trace);
  const newest = useRef(ticket);
  useEffect(() => {
    newest.current = ticket;
  });
  const key = JSON.stringify([url, options, ticket === undefined], (_, value) => value ?? null); // undefined is said, too
  const store = useMemo(() => {
    const asked = ticket === undefined ? {} : { ticket: () => (newest.current ?? ticket)() };
    return new TraceStore(url ?? "", { ...options, ...asked });
  }, [key]);
  useEffect(() => {
    if (autoConnect && url !== null) store.connect();
    return store.disconnect;
  }, [store, autoConnect]);
  const snapshot = useSyncExternalStore(store.subscribe, store.snapshot, store.snapshot);
  return useMemo(() => {
    const { connect, disconnect, clearEvents, sendPing, command, decide } = store;
    return {
      ...snapshot,
      connect: url === null ? () => {} : connect,
      disconnect,
      clearEvents,
      sendPing,
      command,
      decide,
    };
  }, [store, snapshot]);
}

/** @param {string | URL} trace */
function addressOf(trace) {
  const text = String(trace);
  return text.includes("/") ? text : `/ws/traces/${encodeURIComponent(text)}`;
}
