/** `require('nexaclient')` is the class itself, with everything else as its properties. */

import * as api from './api';

declare class NexaClient extends api.NexaClient {}

declare namespace NexaClient {
  export import Value = api.Value;
  export import AnyDocument = api.AnyDocument;
  export import Stored = api.Stored;
  export import WithId = api.WithId;
  export import WithRevision = api.WithRevision;
  export import NewDocument = api.NewDocument;
  export import Path = api.Path;
  export import PathValue = api.PathValue;
  export import Condition = api.Condition;
  export import Operators = api.Operators;
  export import Filter = api.Filter;
  export import Update = api.Update;
  export import Fields = api.Fields;
  export import Direction = api.Direction;
  export import Sort = api.Sort;
  export import Projection = api.Projection;
  export import ReadPreference = api.ReadPreference;
  export import ReadConcern = api.ReadConcern;
  export import Durability = api.Durability;
  export import Position = api.Position;
  export import ClientOptions = api.ClientOptions;
  export import CommonOptions = api.CommonOptions;
  export import ReadOptions = api.ReadOptions;
  export import WriteOptions = api.WriteOptions;
  export import QueryOptions = api.QueryOptions;
  export import FindOptions = api.FindOptions;
  export import UpdateOptions = api.UpdateOptions;
  export import VectorSearchOptions = api.VectorSearchOptions;
  export import VectorHit = api.VectorHit;
  export import Vector = api.Vector;
  export import BatchOptions = api.BatchOptions;
  export import BatchOperation = api.BatchOperation;
  export import BatchResult = api.BatchResult;
  export import UserRights = api.UserRights;
  export import HostDescription = api.HostDescription;
  export import Collection = api.Collection;
  export import UpdateResult = api.UpdateResult;
  export import BulkWriteOperation = api.BulkWriteOperation;
  export import Cursor = api.Cursor;
  export import BulkOptions = api.BulkOptions;
  export import BulkItemError = api.BulkItemError;
  export import BulkResult = api.BulkResult;
  export import BulkWriter = api.BulkWriter;
  export import WatchOptions = api.WatchOptions;
  export import ChangeEvent = api.ChangeEvent;
  export import ChangeStream = api.ChangeStream;
  export import Extension = api.Extension;
  export import Timestamp = api.Timestamp;
  export import encode = api.encode;
  export import decode = api.decode;
  export import vectorFromBytes = api.vectorFromBytes;
  export import Address = api.Address;
  export import parseAddress = api.parseAddress;
  export import NexaError = api.NexaError;
  export import ConnectionError = api.ConnectionError;
  export import ProtocolError = api.ProtocolError;
  export import UnknownOutcomeError = api.UnknownOutcomeError;
  export import TimeoutError = api.TimeoutError;
  export import CancelledError = api.CancelledError;
  export import QueueFullError = api.QueueFullError;
  export import ClosedError = api.ClosedError;
  export import ServerSelectionError = api.ServerSelectionError;
  export import ValidationError = api.ValidationError;
  export import ConfigurationError = api.ConfigurationError;
  export import ServerError = api.ServerError;
  export import AuthenticationError = api.AuthenticationError;
  export import PermissionError = api.PermissionError;
  export import ConflictError = api.ConflictError;
  export import NotLeaderError = api.NotLeaderError;
  export import StaleReadError = api.StaleReadError;
  export import OverloadedError = api.OverloadedError;
  export import ReadOnlyError = api.ReadOnlyError;
  export import DuplicateKeyError = api.DuplicateKeyError;
  export import TooLargeError = api.TooLargeError;
  export import WriteConcernError = api.WriteConcernError;
  export import ChangeStreamError = api.ChangeStreamError;
  export import BulkWriteError = api.BulkWriteError;
}

export = NexaClient;
