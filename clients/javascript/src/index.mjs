import nexaclient from './index.js';

export default nexaclient;
export const {
  NexaClient, Collection, Cursor, BulkWriter, ChangeStream, parseAddress, encode, decode, Extension, Timestamp, vectorFromBytes,
  NexaError, ConnectionError, ProtocolError, UnknownOutcomeError, TimeoutError, CancelledError, QueueFullError, ClosedError,
  ServerSelectionError, ValidationError, ConfigurationError, ServerError, AuthenticationError, PermissionError, ConflictError,
  NotLeaderError, StaleReadError, OverloadedError, ReadOnlyError, DuplicateKeyError, TooLargeError, WriteConcernError,
  ChangeStreamError, BulkWriteError,
} = nexaclient;
