'use strict';

/**
 * What tracing tools may listen to: the channels `tracing:nexaclient:command:*` and `tracing:nexaclient:connect:*` of
 * `node:diagnostics_channel`, with the events of a TracingChannel (`start`, `asyncEnd`, `error`). Nothing is done while nobody
 * listens. A message holds names, addresses and times, never documents.
 */

const { channel } = require('node:diagnostics_channel');

const silent = { end() {} };

class Tracing {
  constructor(name) {
    this.started = channel(`tracing:nexaclient:${name}:start`);
    this.asyncEnd = channel(`tracing:nexaclient:${name}:asyncEnd`);
    this.failed = channel(`tracing:nexaclient:${name}:error`);
  }

  get hasSubscribers() {
    return this.started.hasSubscribers || this.asyncEnd.hasSubscribers || this.failed.hasSubscribers;
  }

  /** Publishes `start`; the object that this gives is told the end, with the error if there was one. */
  begin(message) {
    if (!this.hasSubscribers) return silent;
    const startedAt = performance.now();
    this.started.publish(message);
    return {
      end: (error) => {
        message.durationMS = performance.now() - startedAt;
        if (error) {
          message.error = error;
          this.failed.publish(message);
        }
        this.asyncEnd.publish(message);
      },
    };
  }
}

module.exports = { commandChannel: new Tracing('command'), connectChannel: new Tracing('connect') };
