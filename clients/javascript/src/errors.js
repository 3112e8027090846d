'use strict';

/**
 * What can go wrong, as classes to catch and codes to decide on.
 *
 * Every error of this package is a `NexaError`; `code` is stable, `message` is for people, `cause` is what lay beneath. `outcome`
 * says what became of the operation: `'none'` (it certainly did nothing), `'unknown'` (a write that may or may not have happened).
 */

class NexaError extends Error {
  /**
   * @param {string} message
   * @param {{code?: string, cause?: unknown, outcome?: 'none' | 'unknown'}} [more]
   */
  constructor(message, more = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = new.target.name;
    this.code = more.code ?? new.target.code;
    this.outcome = more.outcome ?? 'none';
  }

  static code = 'NEXA_ERROR';
}

/** The connection could not be made or was lost, and the operation certainly did nothing or only read. */
class ConnectionError extends NexaError {
  static code = 'CONNECTION';
}

/** The other side does not speak NEXA as it should. */
class ProtocolError extends ConnectionError {
  static code = 'PROTOCOL';
}

/** A write was on its way when the connection was lost or its time was over: it may or may not have happened. */
class UnknownOutcomeError extends NexaError {
  static code = 'UNKNOWN_OUTCOME';
  constructor(message, more = {}) {
    super(message, { ...more, outcome: 'unknown' });
    /** Whether it was the time that ran out. */
    this.timeout = more.timeout === true;
  }
}

/** The budget of an operation is over; nothing was changed. */
class TimeoutError extends NexaError {
  static code = 'TIMEOUT';
  timeout = true;
}

/** The caller gave up. Named as the platform names it, so that `error.name === 'AbortError'` holds. */
class CancelledError extends NexaError {
  static code = 'ABORT_ERR';
  constructor(message, more) {
    super(message, more);
    this.name = 'AbortError';
  }
}

/** More operations wait for an answer than `maxQueue` allows. */
class QueueFullError extends NexaError {
  static code = 'QUEUE_FULL';
}

/** The client was closed. */
class ClosedError extends NexaError {
  static code = 'CLOSED';
}

/** No node that the operation could use was found in time. `hosts` tells each one's address, role and last error. */
class ServerSelectionError extends NexaError {
  static code = 'SERVER_SELECTION';
  constructor(message, more = {}) {
    super(message, more);
    this.hosts = more.hosts ?? [];
  }
}

/** An argument cannot be sent: a name that is none, a document that is no map, a value that MessagePack does not have. */
class ValidationError extends NexaError {
  static code = 'VALIDATION';
  constructor(message, more = {}) {
    super(message, more);
    this.details = more.details ?? {};
  }
}

/** An address (`nexadb://...`) or an option that cannot be understood. Never contains a password. */
class ConfigurationError extends NexaError {
  static code = 'CONFIGURATION';
}

/** A node's answer of type ERROR. `code` is the node's, `details` are the other fields of the answer. */
class ServerError extends NexaError {
  static code = 'INTERNAL';
  constructor(message, more = {}) {
    super(message, more);
    this.details = more.details ?? {};
  }
}

class AuthenticationError extends ServerError {
  static code = 'UNAUTHENTICATED';
}
class PermissionError extends ServerError {
  static code = 'FORBIDDEN';
}
class ConflictError extends ServerError {
  static code = 'CONFLICT';
}
class NotLeaderError extends ServerError {
  static code = 'NOT_LEADER';
}
class StaleReadError extends ServerError {
  static code = 'STALE_READ';
}
class OverloadedError extends ServerError {
  static code = 'OVERLOADED';
}
class ReadOnlyError extends ServerError {
  static code = 'READ_ONLY';
}

/** A key that exists already: `id`. */
class DuplicateKeyError extends ServerError {
  static code = 'DUPLICATE';
  get id() {
    return this.details.id;
  }
}

/** A limit is exceeded: `limit`, where it is known. */
class TooLargeError extends ServerError {
  static code = 'TOO_LARGE';
  get limit() {
    return this.details.limit;
  }
}

/** The write is on the leader and not yet where it was asked to be; it may come to be there. */
class WriteConcernError extends ServerError {
  static code = 'WRITE_CONCERN_TIMEOUT';
  constructor(message, more) {
    super(message, { ...more, outcome: 'unknown' });
  }
}

/** A change stream cannot go on: its position is no longer in any log, or the node gave it up for good. */
class ChangeStreamError extends ServerError {
  static code = 'SUBSCRIPTION_LOST';
}

/** Items of a bulk write failed: `errors` is a list of `{index, code, message}`, `result` what was achieved. */
class BulkWriteError extends NexaError {
  static code = 'BULK_WRITE';
  constructor(message, more = {}) {
    super(message, more);
    this.errors = more.errors ?? [];
    this.result = more.result;
  }
}

const classes = {
  UNAUTHENTICATED: AuthenticationError,
  FORBIDDEN: PermissionError,
  DUPLICATE: DuplicateKeyError,
  CONFLICT: ConflictError,
  NOT_LEADER: NotLeaderError,
  STALE_READ: StaleReadError,
  TOKEN_LOST: StaleReadError,
  OVERLOADED: OverloadedError,
  TOO_LARGE: TooLargeError,
  RESULT_TOO_LARGE: TooLargeError,
  WRITE_CONCERN_TIMEOUT: WriteConcernError,
  READ_ONLY: ReadOnlyError,
  STORAGE_FAILED: ReadOnlyError,
  BAD_REQUEST: ValidationError,
  BAD_FILTER: ValidationError,
  BAD_UPDATE: ValidationError,
  BAD_PAYLOAD: ValidationError,
  TIMEOUT: TimeoutError,
  CANCELLED: CancelledError,
  BAD_FRAME: ProtocolError,
  SUBSCRIPTION_LOST: ChangeStreamError,
  HISTORY_LOST: ChangeStreamError,
};

/** The error that an ERROR or DUPLICATE frame stands for. @param {unknown} answer its payload */
function errorFromAnswer(answer) {
  if (answer === null || typeof answer !== 'object' || Array.isArray(answer)) {
    return new ProtocolError('The node answered an error without a description');
  }
  const { code = 'INTERNAL', error = code, ...details } = answer;
  const Class = Object.hasOwn(classes, code) ? classes[code] : ServerError;
  return new Class(String(error), { code: String(code), details });
}

module.exports = {
  NexaError,
  ConnectionError,
  ProtocolError,
  UnknownOutcomeError,
  TimeoutError,
  CancelledError,
  QueueFullError,
  ClosedError,
  ServerSelectionError,
  ValidationError,
  ConfigurationError,
  ServerError,
  AuthenticationError,
  PermissionError,
  ConflictError,
  NotLeaderError,
  StaleReadError,
  OverloadedError,
  ReadOnlyError,
  DuplicateKeyError,
  TooLargeError,
  WriteConcernError,
  ChangeStreamError,
  BulkWriteError,
  errorFromAnswer,
};
