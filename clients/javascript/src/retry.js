'use strict';

/**
 * What happens to an operation that got no result: pure functions from what is known to `{kind: 'fail', error?}`, `{kind: 'again'}`
 * or `{kind: 'later', pauseMS}`.
 *
 * | after | a read | a write |
 * |---|---|---|
 * | the connection was lost before anything was sent | again | again |
 * | ... after it was sent | again, once | again where every attempt carried its `op_id`, else UnknownOutcomeError |
 * | NOT_LEADER, SHUTTING_DOWN: nothing was done | again | again |
 * | UNAUTHENTICATED: nothing was done | once more, on a new connection that logs in | the same |
 * | OVERLOADED: nothing was done | twice more, after a pause | twice more, after a pause |
 * | STALE_READ | once more, from the primary where the preference allows it | - |
 *
 * Attempts end with the operation's time in any case.
 */

const { UnknownOutcomeError, ConnectionError } = require('./errors');

const READ_LOSSES_MAX = 1;
const WRITE_LOSSES_MAX = 3;
const OVERLOADS_MAX = 2;
const OVERLOAD_PAUSE_MS = 50;
const LEADER_PAUSE_MS = 20;
const REFUSALS_MAX = 1000;
/** Answers that say that nothing was done. */
const REFUSALS = new Set(['NOT_LEADER', 'SHUTTING_DOWN', 'UNAUTHENTICATED', 'OVERLOADED']);

const fail = (error) => ({ kind: 'fail', error });
const again = { kind: 'again' };
const later = (pauseMS) => ({ kind: 'later', pauseMS });

/** The connection was lost, or the answer could not be read (then `error` is no ConnectionError that a new connection mends). */
function afterLoss(operation, error, settings) {
  operation.connection = null;
  if (!operation.wasSent) return again;
  const isRepeatable = operation.isWrite ? !operation.wasSentBare : true;
  const isWanted = operation.isWrite ? settings.retryWrites : settings.retryReads;
  const most = operation.isWrite ? WRITE_LOSSES_MAX : READ_LOSSES_MAX;
  const isMendable = error instanceof ConnectionError && error.code === 'CONNECTION';
  if (isMendable && isRepeatable && isWanted && operation.lossCount < most) {
    operation.lossCount++;
    return again;
  }
  if (!operation.isWrite) return fail(error);
  return fail(unknown(operation, error));
}

function unknown(operation, cause) {
  return new UnknownOutcomeError(
    `${operation.name} was sent and no answer came; the write may or may not have happened: ${cause.message}`,
    { cause },
  );
}

/** The node answered an error. */
function afterRefusal(operation, error, random = Math.random) {
  const decision = onRefusal(operation, error, random);
  const isInDoubt = operation.isWrite && operation.lossCount > 0 && REFUSALS.has(error.code);
  // That nothing was done this time says nothing of an earlier attempt that had no answer.
  return decision.kind === 'fail' && isInDoubt ? fail(unknown(operation, error)) : decision;
}

function onRefusal(operation, error, random) {
  if (operation.refusalCount >= REFUSALS_MAX) return fail(error);
  switch (error.code) {
    case 'NOT_LEADER':
    case 'SHUTTING_DOWN':
      operation.refusalCount++;
      // The first time at once; then with pauses, because nodes take a while to agree.
      return operation.refusalCount === 1 && error.code === 'NOT_LEADER' ? later(0) : later(LEADER_PAUSE_MS * (1 + random()));
    case 'UNAUTHENTICATED':
      if (operation.refusalCount++ > 0) return fail(error);
      return again;
    case 'OVERLOADED': {
      if (operation.refusalCount >= OVERLOADS_MAX) return fail(error);
      const pauseMS = Number(error.details.retry_after_ms) || OVERLOAD_PAUSE_MS * 2 ** operation.refusalCount;
      operation.refusalCount++;
      return later(pauseMS * (0.5 + random()));
    }
    case 'STALE_READ':
      if (operation.refusalCount > 0 || operation.isWrite) return fail(error);
      operation.refusalCount++;
      operation.needsPrimary = operation.readPreference !== 'secondary';
      return again;
    default:
      return fail(error);
  }
}

module.exports = { afterLoss, afterRefusal };
