// A plain subscription that outlives its connection. What is published while there is none is lost: `onBack` says to look.

import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import type { NatsLink } from "./link.ts";

const RETRY_MS = 1_000;

export interface StandingHandlers {
  onMessage(message: Msg): void;
  /** The connection was gone meanwhile. */
  onBack?(): void;
}

/** Subscribes now, or once there is a connection. Returns the way to stop. */
export function standing(link: NatsLink, subject: string, handlers: StandingHandlers): () => void {
  let stopped = false;
  let attaching = false;
  let connection: NatsConnection | undefined;
  let subscription: Subscription | undefined;
  let cancelRetry: (() => void) | undefined;

  const attach = (): void => {
    if (stopped || attaching) return;
    attaching = true;
    link
      .connected()
      .then(({ nc }) => {
        attaching = false;
        if (stopped) return;
        const isBack = connection !== undefined;
        if (connection !== nc) {
          connection = nc;
          subscription = nc.subscribe(subject, {
            callback: (error, message) => {
              if (stopped) return;
              if (error === null) handlers.onMessage(message);
              else link.logger.warn({ subject, error }, "a subscription failed");
            },
          });
        }
        if (isBack) handlers.onBack?.();
      })
      .catch((error: unknown) => {
        attaching = false;
        if (stopped || link.status === "closed") return;
        link.logger.warn({ subject, error }, "no subscription yet; tried again");
        cancelRetry = link.clock.setTimer(RETRY_MS, attach);
      });
  };
  const stopListening = link.onStatus((status) => {
    if (status === "connected" || status === "idle") attach();
  });
  attach();
  return () => {
    if (stopped) return;
    stopped = true;
    stopListening();
    cancelRetry?.();
    if (subscription !== undefined && !subscription.isClosed() && connection?.isClosed() === false)
      subscription.unsubscribe();
  };
}
